//! Whether two labs keep something in the same place.

use super::{OpsError, Part, Result};
use crate::config::{CollectionBackend, Settings};
use crate::ops::Lab;
use crate::store::duckdb;

/// Those of the parts that both keep in one place.
pub async fn shared(from: &Lab, to: &Lab, parts: &[Part]) -> Result<Vec<Part>> {
    let mut shared = Vec::new();
    for part in parts {
        let same = match part {
            Part::Experiments | Part::Outbox => same_runs(from, to).await?,
            Part::Documents => same_documents(from, to).await?,
            Part::Collections => of_collections(&from.settings)? == of_collections(&to.settings)?,
        };
        if same {
            shared.push(*part);
        }
    }
    Ok(shared)
}

pub async fn same_runs(from: &Lab, to: &Lab) -> Result<bool> {
    let same_kind = from.settings.roles.experiments == to.settings.roles.experiments;
    Ok(same_kind && from.transfer().identity().await? == to.transfer().identity().await?)
}

async fn same_documents(from: &Lab, to: &Lab) -> Result<bool> {
    let same_kind = from.settings.roles.documents == to.settings.roles.documents;
    Ok(same_kind && from.document_look().identity().await? == to.document_look().identity().await?)
}

/// Chroma has no name of its own: where it is must do, without the many names of this machine.
fn of_collections(settings: &Settings) -> Result<String> {
    Ok(match settings.roles.collections {
        CollectionBackend::DuckDb => duckdb::transfer::identity(&settings.duckdb.path),
        CollectionBackend::Chroma => {
            let chroma = &settings.chroma;
            let url = reqwest::Url::parse(&chroma.url)
                .map_err(|error| OpsError::Invalid(format!("`chroma.url`: {error}")))?;
            let host = match url.host_str() {
                Some("localhost" | "[::1]") | None => "127.0.0.1",
                Some(host) => host,
            };
            let port = url.port_or_known_default().unwrap_or_default();
            format!("{host}:{port}{} {} {}", url.path(), chroma.tenant, chroma.database)
        }
    })
}

/// Both labs open the same DuckDB file, and must do so together.
pub fn share_a_file(one: &Settings, other: &Settings) -> bool {
    duckdb::transfer::identity(&one.duckdb.path) == duckdb::transfer::identity(&other.duckdb.path)
}
