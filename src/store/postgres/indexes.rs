//! Indexes over the partitions of `document_embeddings`: what there is, and dropping one. `build` makes them.

use async_trait::async_trait;
use tokio_postgres::Row;
use tokio_util::sync::CancellationToken;

use crate::domain::document::Distance;
use crate::domain::index::{BuildProgress, Index, IndexKind, IndexState, NewIndex, Over};
use crate::store::documents::DocumentIndexes;
use crate::store::{ErrorKind, Result};

use super::schema::Part;
use super::{Pg, partition};

#[cfg(test)]
mod tests;

/// One that is not valid is being built when somebody holds the lock of a build on its table, which is seen by every user; the
/// view of builds under way is not.
const LIST: &str = "SELECT c.relname::text, t.relname::text, pg_get_expr(t.relpartbound, t.oid), a.amname::text, \
         o.opcname::text, c.reloptions, i.indisvalid, coalesce(pg_relation_size(c.oid), 0), coalesce(s.idx_scan, 0), \
         EXISTS (SELECT FROM pg_locks l LEFT JOIN pg_stat_activity b ON b.pid = l.pid \
             WHERE l.locktype = 'relation' AND l.relation = t.oid AND l.mode = 'ShareUpdateExclusiveLock' \
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND b.backend_type IS DISTINCT FROM 'autovacuum worker') \
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid \
     JOIN pg_inherits h ON h.inhrelid = t.oid AND h.inhparent = to_regclass('ml_schema.document_embeddings') \
     JOIN pg_am a ON a.oid = c.relam JOIN pg_opclass o ON o.oid = i.indclass[0] \
     LEFT JOIN pg_stat_user_indexes s ON s.indexrelid = c.oid \
     WHERE a.amname IN ('hnsw', 'ivfflat') OR (a.amname = 'gin' AND o.opcname LIKE 'jsonb%') \
     ORDER BY c.relname";

#[async_trait]
impl DocumentIndexes for Pg {
    async fn list(&self) -> Result<Vec<Index>> {
        let doing = "listing indexes";
        let mut reader = self.reader(Part::Documents, doing).await?;
        let models = reader.rows(doing, "SELECT name FROM ml_schema.embedding_models", &[]).await?;
        let models: Vec<String> =
            models.iter().map(|row| self.value(doing, row, 0)).collect::<Result<_>>()?;
        let rows = reader.rows(doing, LIST, &[]).await?;
        let mut indexes: Vec<Index> =
            rows.iter().map(|row| self.index(doing, row, &models)).collect::<Result<_>>()?;
        indexes.sort_by(|one, other| (&one.model_name, &one.name).cmp(&(&other.model_name, &other.name)));
        Ok(indexes)
    }

    async fn build(
        &self,
        new: &NewIndex,
        told: &(dyn Fn(BuildProgress) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<Index> {
        self.build_index(new, told, stop).await
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let doing = "dropping the index";
        self.own_session(doing)?;
        let client = self.writer(Part::Documents, doing).await?;
        let known = DocumentIndexes::list(self).await?;
        let Some(index) = known.iter().find(|index| index.name == name) else {
            let message = format!("there is no index '{name}' over documents");
            return Err(self
                .error(ErrorKind::NotFound, doing, message)
                .remedy("`labtop docs index ls` lists them."));
        };
        if index.state == IndexState::Building {
            let message = format!("'{name}' is being built");
            return Err(self
                .error(ErrorKind::Conflict, doing, message)
                .remedy("End that build, or wait for it."));
        }
        self.within(doing, client.batch_execute(&dropping(name))).await
    }
}

/// Nobody who reads or writes meanwhile is kept from it.
pub(super) fn dropping(name: &str) -> String {
    format!("DROP INDEX CONCURRENTLY IF EXISTS ml_schema.\"{}\"", name.replace('"', "\"\""))
}

/// What labtop names an index that it makes.
pub(super) fn name(model: &str, over: Over) -> String {
    let table = partition::table(model);
    let of = table.strip_prefix("document_embeddings_").unwrap_or(&table);
    match over {
        Over::Vectors { distance, .. } => format!("hnsw_{distance}_{of}"),
        Over::Metadata => format!("metadata_{of}"),
    }
}

impl Pg {
    fn index(&self, doing: &str, row: &Row, models: &[String]) -> Result<Index> {
        let table: String = self.value(doing, row, 1)?;
        let bound: Option<String> = self.value(doing, row, 2)?;
        let kind = match self.value(doing, row, 3)? {
            "hnsw" => IndexKind::Hnsw,
            "ivfflat" => IndexKind::IvfFlat,
            _ => IndexKind::Metadata,
        };
        let class: &str = self.value(doing, row, 4)?;
        let options: Vec<String> = self.value::<Option<Vec<String>>>(doing, row, 5)?.unwrap_or_default();
        let option = |wanted: &str, usual: u32| {
            let given = options.iter().find_map(|option| option.strip_prefix(wanted)?.strip_prefix('='));
            (kind == IndexKind::Hnsw).then(|| given.and_then(|text| text.parse().ok()).unwrap_or(usual))
        };
        let state = match (self.value(doing, row, 6)?, self.value(doing, row, 9)?) {
            (true, _) => IndexState::Ready,
            (false, true) => IndexState::Building,
            (false, false) => IndexState::Broken,
        };
        let model = models.iter().find(|model| partition::table(model) == table).cloned();
        Ok(Index {
            name: self.value(doing, row, 0)?,
            model_name: model.or(bound).unwrap_or(table),
            kind,
            distance: distance(class),
            half: class.starts_with("halfvec"),
            m: option("m", Over::M),
            ef_construction: option("ef_construction", Over::EF_CONSTRUCTION),
            state,
            bytes: self.value::<i64>(doing, row, 7)?.unsigned_abs(),
            scans: self.value::<i64>(doing, row, 8)?.unsigned_abs(),
        })
    }
}

fn distance(class: &str) -> Option<Distance> {
    let named = class.strip_suffix("_ops")?.rsplit('_').next()?;
    Distance::ALL.into_iter().find(|distance| distance.as_str() == named)
}
