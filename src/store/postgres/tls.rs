//! TLS to PostgreSQL: how far the server's certificate is believed under each `sslmode`, and what its refusal means.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{self, SslMode};
use crate::store::ErrorKind;

use super::error::{Words, server, words};

/// Means the certificates of the system, as an empty setting does.
const SYSTEM: &str = "system";
const ROOTS: &str = "Set `postgres.sslrootcert` (PGSSLROOTCERT) to a PEM file with the certificate of the authority that signed the server's.";
const NO_TLS: &str = "server does not support TLS";

/// What speaks TLS as the settings want it. Where they want none, it is never asked.
pub(super) fn connector(settings: &config::Postgres) -> Result<MakeRustlsConnect, Words> {
    let provider = Arc::new(crypto::ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let is_named = !settings.sslrootcert.as_os_str().is_empty();
    let mode = match settings.sslmode {
        // As psql has it: whoever names authorities wants them asked.
        SslMode::Require if is_named => SslMode::VerifyCa,
        mode => mode,
    };
    let roots = match mode {
        SslMode::Disable | SslMode::Prefer | SslMode::Require => None,
        SslMode::VerifyCa | SslMode::VerifyFull => Some(roots(&settings.sslrootcert, &provider)?),
    };
    let trust = Trust { roots, with_name: mode == SslMode::VerifyFull, algorithms };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| words(ErrorKind::Backend, format!("TLS cannot be set up: {error}"), ROOTS))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust))
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[derive(Debug)]
struct Roots {
    certificates: Vec<CertificateDer<'static>>,
    verifier: Arc<WebPkiServerVerifier>,
}

fn roots(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Roots, Words> {
    let shown = path.display();
    let certificates = if path.as_os_str().is_empty() || path == Path::new(SYSTEM) {
        // Single certificates that cannot be read are the system's own trouble; that there is none at all is told below.
        rustls_native_certs::load_native_certs().certs
    } else {
        let unreadable = |error: &dyn std::fmt::Display| {
            let message =
                format!("the certificates in {shown} (`postgres.sslrootcert`) cannot be read: {error}");
            words(ErrorKind::Invalid, message, ROOTS)
        };
        let text = std::fs::read(path).map_err(|error| unreadable(&error))?;
        CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(|error| unreadable(&error))?
    };
    let mut store = RootCertStore::empty();
    let (taken, _) = store.add_parsable_certificates(certificates.iter().cloned());
    if taken == 0 {
        let message = match path.as_os_str().is_empty() || path == Path::new(SYSTEM) {
            true => "this system has no certificates of authorities to check the server's with".to_owned(),
            false => format!("{shown} (`postgres.sslrootcert`) holds no certificate"),
        };
        return Err(words(ErrorKind::Invalid, message, ROOTS));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone())
        .build()
        .map_err(|error| words(ErrorKind::Backend, format!("TLS cannot be set up: {error}"), ROOTS))?;
    Ok(Roots { certificates, verifier })
}

/// Decides whether to believe a certificate. That the server holds its key is checked whatever the mode.
#[derive(Debug)]
struct Trust {
    roots: Option<Roots>,
    with_name: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Trust {
    /// A server's own certificate may stand among the authorities: small teams have no authority but that.
    fn is_own(&self, roots: &Roots, certificate: &CertificateDer<'_>, error: &Error) -> bool {
        // Said after the dates were found good.
        let is_authority = matches!(error, Error::InvalidCertificate(CertificateError::Other(other))
            if other.0.to_string().contains("CaUsedAsEndEntity"));
        is_authority && roots.certificates.iter().any(|root| root.as_ref() == certificate.as_ref())
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(roots) = &self.roots else { return Ok(ServerCertVerified::assertion()) };
        match roots.verifier.verify_server_cert(certificate, between, name, ocsp, now) {
            // The name is looked at last, when all else is good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.with_name => Ok(ServerCertVerified::assertion()),
            Err(error) if self.is_own(roots, certificate, &error) => {
                if self.with_name {
                    let parsed = rustls::server::ParsedCertificate::try_from(certificate)?;
                    rustls::client::verify_server_name(&parsed, name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What went wrong with TLS, if it was TLS.
pub(super) fn told(settings: &config::Postgres, error: &tokio_postgres::Error) -> Option<Words> {
    use std::error::Error as _;
    if error.to_string() != "error performing TLS handshake" {
        return None;
    }
    let place = server(settings);
    let mode = settings.sslmode.as_str();
    let source = error.source();
    let problem = source.and_then(|source| source.downcast_ref::<io::Error>());
    if let Some(problem) = problem.and_then(|error| error.get_ref()?.downcast_ref::<Error>()) {
        return Some(refused(settings, problem));
    }
    let said = source.map(ToString::to_string).unwrap_or_default();
    if said == NO_TLS {
        let message = format!("PostgreSQL at {place} offers no TLS, and sslmode = {mode} demands it");
        let remedy = "Switch TLS on at the server (ssl = on), or set `postgres.sslmode` (PGSSLMODE) to prefer or disable where \
                      the network is trusted.";
        return Some(words(ErrorKind::Unavailable, message, remedy));
    }
    let message = format!("PostgreSQL at {place} broke the TLS handshake off ({said})");
    let remedy = "Look into the server's log; set `postgres.sslmode` (PGSSLMODE) to disable if the network is trusted.";
    Some(words(ErrorKind::Unavailable, message, remedy))
}

fn refused(settings: &config::Postgres, problem: &Error) -> Words {
    let place = server(settings);
    let host = &settings.host;
    let renew = "Renew it on the server; if it is new, look at this machine's clock.";
    let (message, remedy) = match problem {
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            let asked = match settings.sslrootcert.to_str() {
                None | Some("" | SYSTEM) => "this system trusts".to_owned(),
                Some(path) => format!("{path} holds"),
            };
            (format!("the certificate of PostgreSQL at {place} comes from no authority that {asked}"), ROOTS.to_owned())
        }
        Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => {
            let names = match presented.is_empty() {
                true => "no name in its subjectAltName".to_owned(),
                false => presented.iter().map(|name| bare(name)).collect::<Vec<_>>().join(", "),
            };
            (
                format!("the certificate of PostgreSQL at {place} is made out to {names}, not to '{host}'"),
                "Connect by a name that it holds (PGHOST), or set `postgres.sslmode` (PGSSLMODE) to verify-ca.".to_owned(),
            )
        }
        Error::InvalidCertificate(CertificateError::NotValidForName) => (
            format!("the certificate of PostgreSQL at {place} is not made out to '{host}'"),
            "Connect by a name that it holds (PGHOST), or set `postgres.sslmode` (PGSSLMODE) to verify-ca.".to_owned(),
        ),
        Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) => (
            format!("the certificate of PostgreSQL at {place} expired on {}", day(*not_after)),
            renew.to_owned(),
        ),
        Error::InvalidCertificate(CertificateError::Expired) => {
            (format!("the certificate of PostgreSQL at {place} has expired"), renew.to_owned())
        }
        Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. }) => (
            format!("the certificate of PostgreSQL at {place} is not valid before {}", day(*not_before)),
            "Look at this machine's clock, and at the server's when it made the certificate.".to_owned(),
        ),
        Error::InvalidCertificate(other) => (
            format!("the certificate of PostgreSQL at {place} cannot be accepted: {other}"),
            "Have it made anew, of version 3 and with the server's name in its subjectAltName.".to_owned(),
        ),
        Error::AlertReceived(AlertDescription::CertificateRequired) => (
            format!("PostgreSQL at {place} demands a certificate of its clients, and labtop has none"),
            "Let this user in by a password in pg_hba.conf.".to_owned(),
        ),
        other => (
            format!("no TLS with PostgreSQL at {place}: {other}"),
            "Look into the server's log, and at its ssl_min_protocol_version (labtop speaks TLS 1.2 and 1.3).".to_owned(),
        ),
    };
    words(ErrorKind::Unavailable, message, remedy)
}

/// Of `DnsName("db.example")`, what stands in quotes.
fn bare(name: &str) -> &str {
    name.split('"').nth(1).unwrap_or(name)
}

fn day(at: UnixTime) -> String {
    let at = i64::try_from(at.as_secs()).ok().and_then(|second| jiff::Timestamp::from_second(second).ok());
    at.map_or("a day beyond all reckoning".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
}
