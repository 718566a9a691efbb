//! How the dashboard was arranged when it was left.

use toml::Table;

use super::{OpsError, Result};
use crate::config::view;

/// Keeps sections of the view file; those that are not named stay as they are.
pub async fn remember(sections: Table) -> Result<()> {
    let Some(place) = view::usual_place() else {
        return Err(OpsError::Invalid("this user has no folder for state".to_owned()));
    };
    let saved = tokio::task::spawn_blocking(move || view::save(&place, &sections)).await;
    let saved = saved.map_err(|error| OpsError::Invalid(format!("saving the view: {error}")))?;
    saved.map_err(|error| OpsError::Invalid(error.to_string()))
}
