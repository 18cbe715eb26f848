//! A certificate authority and a server certificate, made afresh at every start. The keys live in memory only.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The names that clients may use for the loopback interface. rustls and OpenSSL do not take a wildcard right below a
/// top-level name, so `*.localhost` helps only clients that are laxer.
const NAMES: [&str; 4] = ["localhost", "*.localhost", "127.0.0.1", "::1"];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the certificates hold. Under the 825 days past which Apple's clients refuse a server certificate
/// (<https://support.apple.com/en-us/103769>).
const VALID_DAYS: u32 = 397;

/// Why no certificate or TLS configuration could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot set up TLS")]
    Config(#[from] rustls::Error),
}

/// What the server presents and what clients must trust.
pub(crate) struct Identity {
    /// The CA certificate, to be written to `ca.pem`.
    pub(crate) ca_pem: String,
    /// A configuration that presents the server certificate and offers `h2` and `http/1.1`.
    pub(crate) server: Arc<ServerConfig>,
}

/// Makes a CA and a server certificate for the loopback names and `host` that is no CA itself: rustls refuses a CA as a server's own certificate.
pub(crate) fn identity(now: SystemTime, host: IpAddr) -> Result<Identity, TlsError> {
    let ca = authority(now)?;
    let leaf_key = KeyPair::generate()?;
    let leaf = leaf_params(now, host)?.signed_by(&leaf_key, &ca)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));

    // The provider is named, so that a process that also links another one still starts.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Identity { ca_pem: ca.pem(), server: Arc::new(server) })
}

fn authority(now: SystemTime) -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::default();
    set_validity(&mut params, now);
    params.distinguished_name.push(DnType::CommonName, "alluvial emulator CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

fn leaf_params(now: SystemTime, host: IpAddr) -> Result<CertificateParams, rcgen::Error> {
    let names = NAMES.map(String::from).into_iter();
    // No client names the address that stands for all of them.
    let host = Some(host.to_string()).filter(|name| !host.is_unspecified() && !NAMES.contains(&name.as_str()));
    let mut params = CertificateParams::new(names.chain(host).collect::<Vec<_>>())?;
    set_validity(&mut params, now);
    params.distinguished_name.push(DnType::CommonName, "alluvial emulator");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn set_validity(params: &mut CertificateParams, now: SystemTime) {
    // A client whose clock is a little behind must accept it as well.
    params.not_before = (now - DAY).into();
    params.not_after = (now + DAY * VALID_DAYS).into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};
    use std::net::Ipv4Addr;

    const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

    fn verify(name: &str, at: SystemTime) -> Result<(), rustls::Error> {
        let now = SystemTime::UNIX_EPOCH + DAY * 20_000;
        let ca = authority(now).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let leaf = leaf_params(now, HOST).and_then(|params| params.signed_by(&key, &ca)).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).expect("PEM")).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().expect("a verifier");
        let at = UnixTime::since_unix_epoch(at.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970"));
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        use rustls::client::danger::ServerCertVerifier as _;
        verifier.verify_server_cert(leaf.der(), &[], &name, &[], at).map(drop)
    }

    #[test]
    fn the_certificate_names_every_loopback_address_and_the_one_listened_on() {
        let now = SystemTime::UNIX_EPOCH + DAY * 20_000;
        for name in ["localhost", "127.0.0.1", "::1", "192.0.2.7"] {
            verify(name, now).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        verify("example.com", now).expect_err("a foreign name");
    }

    #[test]
    fn the_certificate_ends() {
        let now = SystemTime::UNIX_EPOCH + DAY * 20_000;
        verify("localhost", now + DAY * (VALID_DAYS + 1)).expect_err("an expired certificate");
    }

    #[test]
    fn http2_is_offered_first() {
        let identity = identity(SystemTime::UNIX_EPOCH + DAY * 20_000, HOST).expect("an identity");
        assert_eq!(identity.server.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        assert!(!identity.ca_pem.contains("PRIVATE KEY"));
    }
}
