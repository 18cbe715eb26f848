//! The same from S3 to S3, over HTTP, with s3s-fs in place of AWS.

use crate::cli::compact;
use crate::support::{gzip, rows};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Output;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Serves the buckets in `root` until dropped.
struct Server {
    url: String,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(root: &Path) -> Self {
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).expect("a file system"));
        builder.set_auth(SimpleAuth::from_single("test", "secret"));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.expect("a connection");
                let service = service.clone();
                connections.spawn(async move {
                    // A client that hangs up is no concern of the server.
                    auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await.ok();
                });
            }
        });
        Self { url, _tasks: tasks }
    }

    async fn compact(&self, src: &str, dst: &str) -> Output {
        self.run(&["run", src, dst, "--json"]).await
    }

    async fn run(&self, args: &[&str]) -> Output {
        let args: Vec<String> = args.iter().copied().chain(["--endpoint-url", &self.url]).map(str::to_owned).collect();
        let run = move || {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let environment =
                [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "eu-north-1")];
            compact(&args, &environment)
        };
        tokio::task::spawn_blocking(run).await.expect("no panic")
    }
}

fn report(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

fn put(root: &Path, key: &str, object: &[u8]) {
    let path = root.join("lake").join(key);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    fs::write(path, object).expect("an object");
}

#[tokio::test(flavor = "multi_thread")]
async fn from_s3_to_s3_and_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    // More than one ranged GET, and noise that does not compress away.
    let mut random = 7u64;
    let long: String = (0..400_000)
        .map(|n| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!("{{\"n\":{n},\"noise\":\"{random:016x}{:016x}\"}}\n", random.rotate_left(17))
        })
        .collect();
    put(root, "raw/2026/11/23/05/long", &gzip(&long));
    put(root, "raw/2026/11/23/06/short", &gzip("{\"n\":400000}\n"));
    put(root, "rawer/2026/11/23/06/other", &gzip("{\"n\":-1}\n"));
    let server = Server::start(root).await;

    let first = report(&server.compact("s3://lake/raw", "s3://lake/parquet").await);
    assert_eq!((&first["rows"], &first["objects"], &first["files"]), (&400_001.into(), &2.into(), &2.into()));
    let mut numbers: Vec<u64> =
        rows(&root.join("lake/parquet")).iter().map(|row| row["n"].as_u64().expect("a number")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..=400_000).collect::<Vec<_>>());
    assert!(root.join("lake/parquet/_SUCCESS").exists());

    let second = report(&server.compact("s3://lake/raw", "s3://lake/parquet").await);
    assert_eq!(second["already_done"], true);

    put(root, "raw/2026/11/23/06/late", &gzip("{\"n\":400001}\n"));
    let third = report(&server.compact("s3://lake/raw", "s3://lake/parquet").await);
    assert_eq!((&third["rows"], &third["skipped_objects"]), (&1.into(), &2.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_sorted_files_and_statements_in_s3() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let values = ["NO", "..", "a/b", "a=b", "%2F", "sør 😀", "x y", "", "#?&+"];
    let text: String =
        (0..900).map(|n| serde_json::json!({"site": values[n % 9], "n": 900 - n}).to_string() + "\n").collect();
    put(root, "raw/2026/11/23/05/x", &gzip(&text));
    let server = Server::start(root).await;
    let args =
        ["run", "s3://lake/raw", "s3://lake/table", "--json", "--partition-by", "site", "--sort", "n", "--bloom", "n"];

    let preview = report(&server.run(&[&args[..], &["--dry-run"]].concat()).await);
    assert_eq!((&preview["objects"], &preview["partitions"]), (&1.into(), &Value::Null));
    assert!(!root.join("lake/table").exists());

    let done = report(&server.run(&args).await);
    assert_eq!((&done["rows"], &done["partitions"], &done["untold_rows"]), (&900.into(), &9.into(), &100.into()));
    let files = crate::support::files(&root.join("lake/table"));
    let keys: Vec<String> = files
        .iter()
        .map(|file| file.strip_prefix(root.join("lake/table")).expect("below").display().to_string())
        .collect();
    for start in ["site=NO/", "site=../", "site=a%2Fb/", "site=a%3Db/", "site=%252F/", "site=sør 😀/", "site=x y/"] {
        assert!(keys.iter().any(|key| key.starts_with(start)), "{start}: {keys:?}");
    }
    for file in &files {
        let numbers: Vec<i64> =
            crate::support::rows_of_file(file).iter().map(|row| row["n"].as_i64().expect("a number")).collect();
        assert!(numbers.len() == 100 && numbers.is_sorted(), "{}", file.display());
    }

    let ddl = server.run(&["ddl", "s3://lake/table", "--table", "t"]).await;
    let text = String::from_utf8_lossy(&ddl.stdout);
    assert!(text.contains("PARTITIONED BY (\n  `site` string\n)") && text.contains("'s3://lake/table/'"), "{text}");
    // The column is in the files, as one of its values is empty; it must not stand twice in the statement.
    assert_eq!(text.matches("`site`").count(), 1, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_does_not_exist_is_a_usage_error() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("lake")).expect("a bucket");
    let server = Server::start(folder.path()).await;
    let missing = server.compact("s3://nowhere/raw", "s3://lake/parquet").await;
    assert_eq!(missing.status.code(), Some(2), "{}", String::from_utf8_lossy(&missing.stderr));
    let empty = server.compact("s3://lake/raw", "s3://lake/parquet").await;
    assert_eq!(empty.status.code(), Some(2), "{}", String::from_utf8_lossy(&empty.stderr));
    assert!(String::from_utf8_lossy(&empty.stderr).contains("there are no objects"));
}
