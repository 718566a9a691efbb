//! A PostgreSQL server that speaks TLS: the one in the wheel has none, so this one takes the TLS off and hands the rest on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use labtop::config;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What a client asks first when it wants TLS.
const WANTS_TLS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// An authority, with its certificate in a file.
pub struct Authority {
    pub file: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    _folder: TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let (folder, file) = kept(&params.self_signed(&key).unwrap());
        Authority { file, issuer: Issuer::new(params, key), _folder: folder }
    }

    /// For a server of that name; with a year in which it ended if it is old.
    pub fn certify(&self, name: &str, expired: Option<i32>) -> (Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        if let Some(year) = expired {
            (params.not_before, params.not_after) =
                (date_time_ymd(year - 1, 1, 1), date_time_ymd(year, 1, 1));
        }
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

fn kept(certificate: &Certificate) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("certificate.pem");
    std::fs::write(&file, certificate.pem()).unwrap();
    (folder, file)
}

/// Signed by itself, as `openssl req -x509` makes it, with its file.
pub fn self_signed(name: &str, expired: Option<i32>) -> ((Certificate, KeyPair), TempDir, PathBuf) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    if let Some(year) = expired {
        (params.not_before, params.not_after) = (date_time_ymd(year - 1, 1, 1), date_time_ymd(year, 1, 1));
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let (folder, file) = kept(&certificate);
    ((certificate, key), folder, file)
}

/// Listens until it is dropped.
pub struct TlsServer {
    pub port: u16,
    counts: Arc<Counts>,
    listening: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    encrypted: AtomicU32,
    plain: AtomicU32,
}

impl TlsServer {
    /// Before the server of these settings.
    pub async fn start(before: &config::Postgres, (certificate, key): (Certificate, KeyPair)) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let counts = Arc::new(Counts::default());
        let (acceptor, upstream) = (TlsAcceptor::from(Arc::new(tls)), (before.host.clone(), before.port));
        let counting = counts.clone();
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, upstream, counts) = (acceptor.clone(), upstream.clone(), counting.clone());
                // What breaks off is the client's to tell.
                tokio::spawn(async move { serve(client, acceptor, upstream, &counts).await });
            }
        });
        TlsServer { port, counts, listening }
    }

    /// Connections with TLS.
    pub fn encrypted(&self) -> u32 {
        self.counts.encrypted.load(Ordering::SeqCst)
    }

    /// Connections that began without asking for TLS.
    pub fn plain(&self) -> u32 {
        self.counts.plain.load(Ordering::SeqCst)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn serve(
    mut client: TcpStream,
    acceptor: TlsAcceptor,
    upstream: (String, u16),
    counts: &Counts,
) -> std::io::Result<()> {
    let mut first = [0; 8];
    client.read_exact(&mut first).await?;
    let mut server = TcpStream::connect(upstream).await?;
    if first != WANTS_TLS {
        counts.plain.fetch_add(1, Ordering::SeqCst);
        server.write_all(&first).await?;
        copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    client.write_all(b"S").await?;
    let mut client = acceptor.accept(client).await?;
    counts.encrypted.fetch_add(1, Ordering::SeqCst);
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
