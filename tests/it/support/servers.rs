//! The real servers, and a database of its own for each test, dropped when the test is over.

use std::future::Future;
use std::pin::Pin;

use labtop::config;
use secrecy::ExposeSecret;
use serde_json::json;
use tokio_postgres::NoTls;
use uuid::Uuid;

type Farewell = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// Dropped with the value, on the server too.
pub struct Database {
    farewell: Option<Farewell>,
}

impl Database {
    fn new<F: Future<Output = ()> + 'static>(farewell: impl FnOnce() -> F + Send + 'static) -> Self {
        Database { farewell: Some(Box::new(move || Box::pin(farewell()))) }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some(farewell) = self.farewell.take() else { return };
        // A test's own runtime cannot be waited for from within.
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(farewell());
        };
        let done = std::thread::spawn(work).join();
        if !std::thread::panicking() {
            done.unwrap();
        }
    }
}

/// None skips the test, which `LABTOP_TEST_SERVERS` forbids.
fn address(name: &str) -> Option<String> {
    let address = std::env::var(name).ok();
    let demanded = std::env::var("LABTOP_TEST_SERVERS").is_ok_and(|value| value == "1");
    assert!(address.is_some() || !demanded, "{name} must say where the server is");
    address
}

fn unique() -> String {
    format!("test_{}", Uuid::new_v4().simple())
}

async fn sql(server: config::Postgres, text: String) {
    let client = plainly(&server).await;
    client.batch_execute(&text).await.unwrap();
}

/// An empty PostgreSQL database.
pub async fn postgres() -> Option<(config::Postgres, Database)> {
    let url = address("DATABASE_URL")?;
    let server = config::Postgres::from_url(&url).unwrap();
    let name = unique();
    sql(server.clone(), format!("CREATE DATABASE {name}")).await;
    let settings = config::Postgres { database: name.clone(), pool_size: 4, ..server.clone() };
    let database = Database::new(move || sql(server, format!("DROP DATABASE {name} WITH (FORCE)")));
    Some((settings, database))
}

/// An empty Chroma database.
pub async fn chroma() -> Option<(config::Chroma, Database)> {
    let url = address("CHROMA_URL")?;
    // An error says that another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let name = unique();
    let databases = format!("{url}/api/v2/tenants/default_tenant/databases");
    let body = json!({ "name": name }).to_string();
    let http = reqwest::Client::new();
    let request = http.post(&databases).header("content-type", "application/json").body(body);
    request.send().await.unwrap().error_for_status().unwrap();
    let settings = config::Chroma { url, database: name.clone(), ..config::Chroma::default() };
    let database = Database::new(move || async move {
        remove_chroma(&format!("{databases}/{name}")).await;
    });
    Some((settings, database))
}

/// Deletes a Chroma database by its address.
pub async fn remove_chroma(database: &str) {
    let http = reqwest::Client::new();
    // Chroma fails with "database is locked" while other tests write.
    for _ in 0..1000 {
        if http.delete(database).send().await.unwrap().status().is_success() {
            return;
        }
    }
    panic!("{database} cannot be deleted");
}

/// A connection of somebody else's, for plain SQL; it ends when it is dropped.
pub async fn plainly(settings: &config::Postgres) -> tokio_postgres::Client {
    let mut server = tokio_postgres::Config::new();
    server.host(&settings.host).port(settings.port).dbname(&settings.database).user(&settings.user);
    server.password(settings.password.expose_secret());
    let (client, connection) = server.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The environment that says where that database is.
pub fn postgres_variables(pg: &config::Postgres) -> Vec<(String, String)> {
    let postgres = [
        ("HOST", pg.host.clone()),
        ("PORT", pg.port.to_string()),
        ("DATABASE", pg.database.clone()),
        ("USER", pg.user.clone()),
        ("PASSWORD", pg.password.expose_secret().to_owned()),
    ];
    postgres.map(|(name, value)| (format!("LABTOP__POSTGRES__{name}"), value)).into()
}

/// The environment that makes the program use these databases.
pub fn variables(pg: &config::Postgres, chroma: &config::Chroma) -> Vec<(String, String)> {
    let mut variables = postgres_variables(pg);
    variables.push(("LABTOP__CHROMA__URL".to_owned(), chroma.url.clone()));
    variables.push(("LABTOP__CHROMA__DATABASE".to_owned(), chroma.database.clone()));
    variables.push(("LABTOP__PROFILE".to_owned(), "servers".to_owned()));
    variables
}
