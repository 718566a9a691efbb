//! Databases of the collection store: only Chroma has several.

use labtop::domain::database::Database;
use labtop::store::ErrorKind;
use labtop::store::chroma::Chroma;
use labtop::store::databases::Databases;

use crate::support::servers;

/// A name that no other test has.
fn own(what: &str) -> String {
    format!("{what}-{}", uuid::Uuid::now_v7().simple())
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_come_and_go() {
    let Some((settings, _guard)) = servers::chroma().await else { return };
    let store = Chroma::new(&settings);
    let (tenant, name) = (own("tenant"), own("database"));
    let database = Database::new(&tenant, &name);
    for error in [
        store.list(&tenant).await.unwrap_err(),
        store.create(&database, false).await.unwrap_err(),
        store.get(&database).await.unwrap_err(),
        store.remove(&database).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        assert!(error.message.contains("has no tenant"), "{error}");
    }
    let error = store.create(&Database::new(&tenant, "a b"), true).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    assert_eq!(store.list(&tenant).await.unwrap_err().kind, ErrorKind::NotFound, "nothing half-made");

    store.create(&database, true).await.unwrap();
    store.create(&Database::new(&tenant, "another"), false).await.unwrap();
    assert_eq!(store.create(&database, true).await.unwrap_err().kind, ErrorKind::Conflict);
    let known = store.list(&tenant).await.unwrap();
    let known: Vec<_> = known.iter().map(|one| (one.database.name.as_str(), one.collections)).collect();
    assert_eq!(known, [("another", Some(0)), (name.as_str(), Some(0))]);
    store.remove(&database).await.unwrap();
    assert_eq!(store.remove(&database).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(store.list(&tenant).await.unwrap().len(), 1);
}
