//! Indexes and searches along them, on the real server that DATABASE_URL names.

use std::time::Duration;

use serde_json::json;
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config;
use crate::domain::document::{Distance, Document, DocumentQuery, Metadata};
use crate::domain::index::{BuildProgress, Index, IndexKind, IndexState, Nearest, NewIndex, Over, Scan, Why};
use crate::store::documents::{DocumentIndexes, DocumentStore};
use crate::store::experiments::ExperimentStore;
use crate::store::{ErrorKind, Result};

use crate::store::postgres::tests::{on_server, sql};
use crate::store::postgres::{Pg, connect};

use super::{distance, dropping, name};

/// A point on a circle, and one of a hundred kinds.
fn document(number: usize, model: &str, dimension: usize) -> Document {
    let angle = number as f32 * 0.01;
    let mut embedding = vec![0.5; dimension];
    (embedding[0], embedding[1]) = (angle.cos(), angle.sin());
    Document {
        document_id: format!("d{number:04}"),
        content: format!("text of {number}"),
        embedding,
        model_name: model.to_owned(),
        metadata: Metadata::from_iter([
            ("kind".to_owned(), json!(number % 100)),
            ("parity".to_owned(), json!(if number.is_multiple_of(2) { "even" } else { "odd" })),
        ]),
    }
}

async fn store_many(pg: &Pg, count: usize) {
    let documents: Vec<Document> = (0..count).map(|number| document(number, "m", 3)).collect();
    assert_eq!(DocumentStore::put(pg, &documents).await.unwrap(), count as u64);
}

fn over(distance: Distance) -> NewIndex {
    let over = Over::Vectors { distance, m: Over::M, ef_construction: Over::EF_CONSTRUCTION };
    NewIndex { model_name: "m".to_owned(), over }
}

async fn build(pg: &Pg, new: &NewIndex) -> Result<Index> {
    pg.build(new, &|_| {}, &CancellationToken::new()).await
}

fn query(limit: usize) -> DocumentQuery {
    DocumentQuery {
        model_name: "m".to_owned(),
        embedding: vec![1.0, 0.0, 0.5],
        limit,
        ..DocumentQuery::default()
    }
}

fn ids(found: &Nearest) -> Vec<&str> {
    found.hits.iter().map(|hit| hit.document_id.as_str()).collect()
}

async fn session(settings: &config::Postgres) -> Client {
    let (client, connection) = connect::config(settings).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A transaction that has written to the model's table: a build waits for its end.
async fn writing(settings: &config::Postgres) -> Client {
    let client = session(settings).await;
    let sql = "BEGIN; INSERT INTO ml_schema.document_embeddings (document_id, content_hash, embedding, model_name) \
               VALUES ('other', '', '[1,1,1]', 'm')";
    client.batch_execute(sql).await.unwrap();
    client
}

async fn until<F: Future<Output = bool>>(holds: impl Fn() -> F) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
}

#[test]
fn searches_go_along_an_index_once_there_is_one() {
    on_server(|settings| async move {
        let pg = Pg::new(&settings);
        store_many(&pg, 500).await;
        let exact = pg.nearest(&query(10)).await.unwrap();
        assert_eq!(exact.scan, Scan::Exact(Why::NoIndex(Distance::Cosine)));

        let built = build(&pg, &over(Distance::Cosine)).await.unwrap();
        assert_eq!(
            (built.kind, built.state, built.distance),
            (IndexKind::Hnsw, IndexState::Ready, Some(Distance::Cosine))
        );
        assert_eq!((built.model_name.as_str(), built.m, built.ef_construction), ("m", Some(16), Some(64)));
        let found = pg.nearest(&query(10)).await.unwrap();
        assert_eq!(found.scan, Scan::Index { ef_search: 100 });
        assert_eq!(found.hits, exact.hits);
        assert_eq!(pg.nearest(&query(10).clone()).await.unwrap().hits.len(), 10);
        let asked = pg.nearest(&DocumentQuery { exact: true, ..query(10) }).await.unwrap();
        assert_eq!((asked.scan, asked.hits), (Scan::Exact(Why::Asked), exact.hits));
        let other = DocumentQuery { distance: Distance::L2, ..query(10) };
        assert_eq!(pg.nearest(&other).await.unwrap().scan, Scan::Exact(Why::NoIndex(Distance::L2)));

        // More than the candidates that are kept.
        let many = pg.nearest(&DocumentQuery { ef_search: Some(10), ..query(400) }).await.unwrap();
        assert_eq!((many.hits.len(), many.scan), (400, Scan::Index { ef_search: 400 }));
        // Its scans are counted by the server itself, a moment later.
        until(|| async { DocumentIndexes::list(&*pg).await.unwrap()[0].scans > 0 }).await;

        let twice = build(&pg, &over(Distance::Cosine)).await.unwrap_err();
        assert_eq!(twice.kind, ErrorKind::Conflict);
        DocumentIndexes::remove(&*pg, &built.name).await.unwrap();
        assert_eq!(pg.nearest(&query(10)).await.unwrap().scan, Scan::Exact(Why::NoIndex(Distance::Cosine)));
        let gone = DocumentIndexes::remove(&*pg, &built.name).await.unwrap_err();
        assert_eq!(gone.kind, ErrorKind::NotFound);
        let unknown = NewIndex { model_name: "x".to_owned(), ..over(Distance::L2) };
        assert_eq!(build(&pg, &unknown).await.unwrap_err().kind, ErrorKind::NotFound);
    });
}

#[test]
fn a_filter_finds_as_many_as_there_are() {
    on_server(|settings| async move {
        let pg = Pg::new(&settings);
        store_many(&pg, 3000).await;
        build(&pg, &over(Distance::Cosine)).await.unwrap();
        let metadata = NewIndex { model_name: "m".to_owned(), over: Over::Metadata };
        assert_eq!(build(&pg, &metadata).await.unwrap().kind, IndexKind::Metadata);
        for filter in ["kind=7", "kind >= 98", "parity=odd and kind!=99", "parity='no such'"] {
            let asked = DocumentQuery { filter: filter.parse().unwrap(), ef_search: Some(10), ..query(20) };
            let exact = pg.nearest(&DocumentQuery { exact: true, ..asked.clone() }).await.unwrap();
            let found = pg.nearest(&asked).await.unwrap();
            assert_eq!(ids(&found), ids(&exact), "{filter}: {}", found.scan);
        }
        // The server decides, and its plan tells which way it took.
        let asked = DocumentQuery { filter: "kind>=0".parse().unwrap(), ..query(3) };
        let exact = pg.nearest(&DocumentQuery { exact: true, ..asked.clone() }).await.unwrap();
        for (forbidden, expected) in [
            (&["seqscan", "bitmapscan", "sort"][..], Scan::Index { ef_search: 100 }),
            (&["indexscan"], Scan::Exact(Why::Planned)),
        ] {
            let database = &settings.database;
            let forbidding: Vec<String> = forbidden
                .iter()
                .map(|way| format!("ALTER DATABASE {database} SET enable_{way} = off"))
                .collect();
            sql(&settings, &format!("ALTER DATABASE {database} RESET ALL; {}", forbidding.join(";"))).await;
            let found = Pg::new(&settings).nearest(&asked).await.unwrap();
            assert_eq!((ids(&found), found.scan), (ids(&exact), expected));
        }
    });
}

#[test]
fn every_metric_and_long_vectors_have_their_index() {
    on_server(|settings| async move {
        let pg = Pg::new(&settings);
        store_many(&pg, 200).await;
        for distance in Distance::ALL {
            let exact = pg.nearest(&DocumentQuery { distance, exact: true, ..query(5) }).await.unwrap();
            build(&pg, &over(distance)).await.unwrap();
            let found = pg.nearest(&DocumentQuery { distance, ..query(5) }).await.unwrap();
            assert_eq!(
                (found.scan, ids(&found)),
                (Scan::Index { ef_search: 100 }, ids(&exact)),
                "{distance}"
            );
            assert_eq!(found.hits, exact.hits, "{distance}");
        }
        assert_eq!(DocumentIndexes::list(&*pg).await.unwrap().len(), 4);

        let long: Vec<Document> = (0..50).map(|number| document(number, "long", 2001)).collect();
        DocumentStore::put(&*pg, &long).await.unwrap();
        let built =
            build(&pg, &NewIndex { model_name: "long".to_owned(), ..over(Distance::L2) }).await.unwrap();
        assert!(built.half);
        let asked = DocumentQuery {
            model_name: "long".to_owned(),
            embedding: long[7].embedding.clone(),
            distance: Distance::L2,
            ..query(3)
        };
        let found = pg.nearest(&asked).await.unwrap();
        assert_eq!(
            (found.scan, found.hits[0].document_id.as_str()),
            (Scan::Index { ef_search: 100 }, "d0007")
        );
        assert_eq!(found.hits[0].distance, 0.0, "measured with the whole figures");

        DocumentStore::put(&*pg, &[document(0, "longer", 4001)]).await.unwrap();
        let error = build(&pg, &NewIndex { model_name: "longer".to_owned(), ..over(Distance::L2) })
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.message.contains("at most 4,000 dimensions"), "{error}");
        let wild = Over::Vectors { distance: Distance::L2, m: 64, ef_construction: 64 };
        let error = build(&pg, &NewIndex { over: wild, ..over(Distance::L2) }).await.unwrap_err();
        assert!(error.message.contains("128 or more"), "{error}");
    });
}

#[test]
fn what_an_index_does_not_hold_is_found_all_the_same() {
    on_server(|settings| async move {
        let pg = Pg::new(&settings);
        store_many(&pg, 5).await;
        let zero =
            Document { embedding: vec![0.0; 3], document_id: "zero".to_owned(), ..document(0, "m", 3) };
        DocumentStore::put(&*pg, &[zero]).await.unwrap();
        build(&pg, &over(Distance::Cosine)).await.unwrap();
        let found = pg.nearest(&query(10)).await.unwrap();
        assert_eq!((found.hits.len(), found.scan), (6, Scan::Exact(Why::Few)));
        assert!(found.hits[5].document_id == "zero" && found.hits[5].distance.is_nan());
        assert_eq!(pg.nearest(&query(5)).await.unwrap().scan, Scan::Index { ef_search: 100 });
        let nowhere = DocumentQuery { embedding: vec![0.0; 3], ..query(5) };
        assert_eq!(pg.nearest(&nowhere).await.unwrap().hits[0].document_id, "d0000");
    });
}

#[test]
fn a_build_keeps_nobody_from_writing_and_leaves_nothing_when_it_is_broken_off() {
    on_server(|settings| async move {
        let pg = Pg::new(&settings);
        store_many(&pg, 50).await;
        for dropped in [false, true] {
            let other = writing(&settings).await;
            let (stop, (tell, mut told)) = (CancellationToken::new(), tokio::sync::mpsc::channel(100));
            let task = {
                let (pg, stop) = (pg.clone(), stop.clone());
                let hear = move |news: BuildProgress| drop(tell.try_send(news.phase));
                tokio::spawn(async move { pg.build(&over(Distance::Cosine), &hear, &stop).await })
            };
            while !told.recv().await.unwrap().starts_with("waiting for transactions of others") {}
            assert_eq!(DocumentStore::put(&*pg, &[document(7, "m", 3)]).await.unwrap(), 1);
            let half_way = DocumentIndexes::list(&*pg).await.unwrap();
            assert_eq!(half_way[0].state, IndexState::Building);
            assert_eq!(pg.nearest(&query(1)).await.unwrap().scan, Scan::Exact(Why::NotReady));
            assert_eq!(build(&pg, &over(Distance::Cosine)).await.unwrap_err().kind, ErrorKind::Conflict);
            assert_eq!(
                DocumentIndexes::remove(&*pg, &half_way[0].name).await.unwrap_err().kind,
                ErrorKind::Conflict
            );
            if dropped {
                task.abort();
            } else {
                stop.cancel();
            }
            // Dropping what is left waits for the transaction as well.
            let look = session(&settings).await;
            let ended = || async {
                let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' AND state = 'active' \
                           AND datname = current_database()";
                look.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0
            };
            until(ended).await;
            other.batch_execute("ROLLBACK").await.unwrap();
            if !dropped {
                let error = task.await.unwrap().unwrap_err();
                assert_eq!((error.kind, error.remedy), (ErrorKind::Cancelled, None));
            }
            until(|| async { DocumentIndexes::list(&*pg).await.unwrap().is_empty() }).await;
        }
        build(&pg, &over(Distance::Cosine)).await.unwrap();
    });
}

#[test]
fn a_broken_index_is_told_and_replaced() {
    on_server(|settings| async move {
        let pg = Pg::new(&settings);
        store_many(&pg, 50).await;
        let built = build(&pg, &over(Distance::Cosine)).await.unwrap();
        let breaking = format!(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ml_schema.{}'::regclass",
            built.name
        );
        sql(&settings, &breaking).await;
        assert_eq!(DocumentIndexes::list(&*pg).await.unwrap()[0].state, IndexState::Broken);
        assert_eq!(pg.nearest(&query(1)).await.unwrap().scan, Scan::Exact(Why::NotReady));
        assert_eq!(build(&pg, &over(Distance::Cosine)).await.unwrap(), built);
        assert_eq!(pg.nearest(&query(1)).await.unwrap().scan, Scan::Index { ef_search: 100 });
    });
}

#[test]
fn behind_a_pooler_of_transactions_searches_use_indexes_and_builds_say_what_they_need() {
    on_server(|settings| async move {
        let pg = Pg::new(&settings);
        store_many(&pg, 50).await;
        let built = build(&pg, &over(Distance::Cosine)).await.unwrap();
        let pooled = Pg::new(&config::Postgres { pooler: config::Pooler::Transaction, ..settings.clone() });
        assert_eq!(pooled.nearest(&query(5)).await.unwrap().scan, Scan::Index { ef_search: 100 });
        store_many(&pooled, 60).await;
        for error in [
            build(&pooled, &over(Distance::L2)).await.unwrap_err(),
            DocumentIndexes::remove(&*pooled, &built.name).await.unwrap_err(),
        ] {
            assert_eq!(error.kind, ErrorKind::Invalid);
            assert!(error.remedy.unwrap().contains("LABTOP__POSTGRES__POOLER=none"));
        }
    });
}

#[test]
fn documents_of_plain_sql_get_their_index_too() {
    on_server(|settings| async move {
        let pg = Pg::new(&settings);
        assert!(DocumentStore::models(&*pg).await.unwrap().is_empty());
        let foreign = "INSERT INTO ml_schema.document_embeddings (document_id, content_hash, embedding, model_name) \
                       SELECT 'd' || n, '', ARRAY[n, 1, 0]::vector, 'm' FROM generate_series(1, 100) n";
        sql(&settings, foreign).await;
        build(&pg, &over(Distance::L2)).await.unwrap();
        let asked = DocumentQuery { embedding: vec![42.0, 1.0, 0.0], distance: Distance::L2, ..query(1) };
        let found = pg.nearest(&asked).await.unwrap();
        assert_eq!((ids(&found), found.scan), (vec!["d42"], Scan::Index { ef_search: 100 }));
    });
}

#[test]
fn an_old_extension_is_told_and_worked_around() {
    on_server(|settings| async move {
        let pg = Pg::new(&settings);
        store_many(&pg, 300).await;
        build(&pg, &over(Distance::Cosine)).await.unwrap();
        let version = |number: &str| {
            format!("UPDATE pg_extension SET extversion = '{number}' WHERE extname = 'vector'")
        };
        sql(&settings, &version("0.7.4")).await;
        let filtered = DocumentQuery { filter: "kind=7".parse().unwrap(), ..query(10) };
        let found = pg.nearest(&filtered).await.unwrap();
        assert_eq!((found.hits.len(), found.scan), (3, Scan::Exact(Why::Old)));
        assert_eq!(pg.nearest(&query(10)).await.unwrap().scan, Scan::Index { ef_search: 100 });
        let health = DocumentStore::health(&*pg).await.unwrap();
        assert!(health.version.contains("before 0.8 searches with a filter are exact"), "{}", health.version);

        sql(&settings, &version("0.6.2")).await;
        let error = build(&pg, &over(Distance::L1)).await.unwrap_err();
        assert!(error.message.contains("needs pgvector 0.7, and the database has pgvector 0.6.2"), "{error}");
        sql(&settings, &version("0.4.4")).await;
        let error = build(&pg, &over(Distance::L2)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.remedy.unwrap().contains("ALTER EXTENSION vector UPDATE"));
    });
}

#[test]
fn without_the_right_to_the_extension_experiments_work_and_documents_say_why() {
    on_server(|settings| async move {
        let role = format!("labtop_{}", Uuid::new_v4().simple());
        let database = &settings.database;
        let making =
            format!("CREATE ROLE {role} LOGIN PASSWORD 'p'; GRANT CREATE ON DATABASE {database} TO {role}");
        sql(&settings, &making).await;
        let limited = config::Postgres {
            user: role.clone(),
            password: secrecy::SecretString::from("p"),
            ..settings.clone()
        };
        let pg = Pg::new(&limited);
        let missing = ExperimentStore::get(&*pg, 1).await.unwrap_err();
        assert_eq!(missing.kind, ErrorKind::NotFound, "experiments work: {missing}");
        let error = DocumentStore::models(&*pg).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.contains(&format!("user '{role}' may not create it")), "{error}");
        assert!(error.remedy.unwrap().contains("CREATE EXTENSION vector"));

        // Once somebody made it, the same program has documents.
        sql(&settings, "CREATE EXTENSION vector").await;
        store_many(&pg, 3).await;
        build(&pg, &over(Distance::Cosine)).await.unwrap();
        drop(pg);
        sql(&settings, &format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await;
    });
}

#[test]
fn the_same_documents_from_several_at_once_are_stored_once() {
    on_server(|settings| async move {
        let pg = Pg::new(&settings);
        store_many(&pg, 100).await;
        let storing = (0..4).map(|_| {
            let pg = Pg::new(&settings);
            tokio::spawn(async move {
                for _ in 0..5 {
                    store_many(&pg, 200).await;
                }
            })
        });
        for done in futures_util::future::join_all(storing).await {
            done.unwrap();
        }
        assert_eq!(DocumentStore::models(&*pg).await.unwrap()[0].documents, 200);
    });
}

#[test]
fn names_fit_and_classes_are_known() {
    let over = Over::Vectors { distance: Distance::Cosine, m: 16, ef_construction: 64 };
    assert!(name(&"long model".repeat(20), over).len() <= 63);
    assert!(name("ada", over).starts_with("hnsw_cosine_ada_"));
    assert!(name("ada", Over::Metadata).starts_with("metadata_ada_"));
    assert_eq!(distance("halfvec_ip_ops"), Some(Distance::Ip));
    assert_eq!(distance("vector_l1_ops"), Some(Distance::L1));
    assert_eq!(distance("jsonb_path_ops"), None);
    assert_eq!(dropping("a\"b"), "DROP INDEX CONCURRENTLY IF EXISTS ml_schema.\"a\"\"b\"");
}
