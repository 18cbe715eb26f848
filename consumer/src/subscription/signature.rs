//! Requests for subscriptions against a verifier of Signature Version 4 that follows the AWS documents and knows nothing of
//! the SDK.
//!
//! Source: "Create a signed AWS API request", IAM user guide.

use super::script::{self, Answer};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use ring::{digest, hmac};

/// What is signed, with header names in lower case.
struct Signed<'a> {
    method: &'a str,
    path: &'a str,
    headers: Vec<(String, String)>,
    body: &'a [u8],
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

impl Signed<'_> {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim())
    }

    /// The signature over the headers `names` for `scope`: date, region, service, and `aws4_request`.
    fn signature(&self, secret: &str, scope: &str, names: &str) -> String {
        let headers: String = names.split(';').map(|name| format!("{name}:{}\n", self.header(name))).collect();
        let body = hex(digest::digest(&digest::SHA256, self.body));
        let canonical = format!("{}\n{}\n\n{headers}\n{names}\n{body}", self.method, self.path);
        let canonical = hex(digest::digest(&digest::SHA256, canonical.as_bytes()));
        let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{canonical}", self.header("x-amz-date"));
        let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| keyed(&key, part));
        hex(keyed(&key, &text))
    }

    /// Key id, scope, names of the signed headers and signature, as the request states them.
    fn authorization(&self) -> (String, String, String, String) {
        let stated = self.header("authorization").strip_prefix("AWS4-HMAC-SHA256 ").expect("the algorithm");
        let part = |name: &str| {
            let found = stated.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or_else(|| panic!("no {name} in {stated}")).to_owned()
        };
        let credential = part("Credential");
        let (id, scope) = credential.split_once('/').expect("a scope");
        (id.to_owned(), scope.to_owned(), part("SignedHeaders"), part("Signature"))
    }
}

/// Names and values.
type Headers = &'static [(&'static str, &'static str)];

/// Cases of the Signature Version 4 test suite that AWS published: method, further headers, body, signature.
const PUBLISHED: [(&str, Headers, &str, &str); 4] = [
    ("GET", &[], "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("POST", &[], "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ("POST", &[("my-header1", "VALUE1")], "", "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"),
    (
        "POST",
        &[("content-type", "application/x-www-form-urlencoded")],
        "Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
];

#[test]
fn the_verifier_agrees_with_the_published_cases() {
    for (method, further, body, wanted) in PUBLISHED {
        let mut headers = vec![("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
        headers.extend(further);
        headers.sort_unstable();
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let signed = Signed { method, path: "/", headers, body: body.as_bytes() };
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        assert_eq!(signed.signature(secret, "20150830/us-east-1/service/aws4_request", &names), wanted, "{names}");
    }
}

fn read(request: &HttpRequest) -> Signed<'_> {
    let uri: http::Uri = request.uri().parse().expect("a URI");
    let mut headers: Vec<_> =
        request.headers().iter().map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    headers.push(("host".into(), uri.authority().expect("a host").to_string()));
    assert_eq!(uri.path(), "/");
    Signed { method: request.method(), path: "/", headers, body: request.body().bytes().expect("a body in memory") }
}

#[tokio::test]
async fn every_source_signs_what_it_sends() {
    for (name, source, script) in script::sources(&[Answer::stream(vec![])]) {
        drop(script::open(&source).await.unwrap());
        let requests = script.requests.lock().unwrap();
        let [request] = requests.as_slice() else { panic!("{name}: {} requests", requests.len()) };
        let signed = read(request);
        let (id, scope, names, signature) = signed.authorization();
        assert_eq!(signed.signature(script::SECRET, &scope, &names), signature, "{name}");
        assert_eq!(id, script::KEY_ID);
        assert!(scope.ends_with("/eu-north-1/kinesis/aws4_request"), "{scope}");
        for part in ["host", "x-amz-date", "x-amz-target", "x-amz-security-token", "content-type"] {
            assert!(names.split(';').any(|name| name == part), "{name} does not sign {part}: {names}");
        }
        assert_eq!(signed.header("x-amz-target"), "Kinesis_20131202.SubscribeToShard");
        assert_eq!(signed.header("content-type"), "application/x-amz-json-1.1");
        assert_eq!(signed.header("x-amz-security-token"), script::TOKEN);
        assert_ne!(signed.signature("another", &scope, &names), signature);
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_corrected_by_the_answer() {
    let refusal = Answer::refusal(400, "InvalidSignatureException").dated("Sat, 02 Jan 2100 12:00:00 GMT");
    for (name, source, script) in script::sources(&[refusal, Answer::stream(vec![])]) {
        drop(script::open(&source).await.unwrap());
        let requests = script.requests.lock().unwrap();
        let dates: Vec<_> = requests.iter().map(|request| read(request).header("x-amz-date").to_owned()).collect();
        assert!(dates.len() == 2 && dates[0].starts_with("20") && !dates[0].starts_with("2100"), "{name}: {dates:?}");
        assert!(dates[1].starts_with("21000102T1"), "{name}: {dates:?}");
    }
    // A key that is wrong stays so.
    let refusal = Answer::refusal(400, "InvalidSignatureException");
    for (name, source, script) in script::sources(&[refusal.clone(), refusal]) {
        assert!(matches!(script::open(&source).await, Err(super::Cause::Denied(_))), "{name}");
        assert_eq!(script.requests.lock().unwrap().len(), 2);
    }
}
