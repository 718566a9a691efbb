//! What a Chroma server is and how much it takes at once.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use crate::domain::text::one_line;
use crate::store::inspect::{Finding, Inspect, clock};
use crate::store::{Backend, Result};

use super::Chroma;
use super::client::Call;

/// Batches below this make uploads slow.
const SMALL: u64 = 100;

#[async_trait]
impl Inspect for Chroma {
    fn backend(&self) -> Backend {
        Backend::Chroma
    }

    async fn inspect(&self) -> Result<Vec<Finding>> {
        let doing = "looking at the server";
        let version = self.call(doing, Call::get("/api/v2/version")).await?;
        let before = Timestamp::now();
        let heartbeat = self.call(doing, Call::get("/api/v2/heartbeat")).await?;
        let after = Timestamp::now();
        let limits = self.call(doing, Call::get("/api/v2/pre-flight-checks")).await?;
        let beat = heartbeat.get("nanosecond heartbeat").and_then(Value::as_i64);
        let theirs = beat.and_then(|beat| Timestamp::from_nanosecond(beat.into()).ok());
        let mut findings = vec![server(&version), batch(&limits)];
        findings.extend(theirs.map(|theirs| clock(theirs, before, after)));
        Ok(findings)
    }
}

fn server(version: &Value) -> Finding {
    let check = "server version";
    match version.as_str() {
        Some("1.0.0") => Finding::ok(check, "Chroma 1.x (every 1.x says 1.0.0)"),
        Some(version) => Finding::ok(check, format!("Chroma {}", one_line(version, 100))),
        None => Finding::warn(
            check,
            "the server does not tell its version",
            "Check that CHROMA_URL names a Chroma server of 0.5.16 or later.",
        ),
    }
}

fn batch(limits: &Value) -> Finding {
    let check = "max batch size";
    match limits.get("max_batch_size").and_then(Value::as_u64) {
        Some(size) if size >= SMALL => Finding::ok(check, format!("{size} records in one request")),
        Some(size) => Finding::warn(
            check,
            format!("{size} records in one request: uploads are slow"),
            "Raise it in the server's settings, if they are yours.",
        ),
        None => Finding::ok(check, "the server names none"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::inspect::Level;

    #[test]
    fn what_a_server_says_is_judged() {
        assert_eq!(server(&json!("1.0.0")).found, "Chroma 1.x (every 1.x says 1.0.0)");
        assert_eq!(server(&json!("0.5.23")).level, Level::Ok);
        assert_eq!(server(&json!(null)).level, Level::Warn);
        assert_eq!(batch(&json!({ "max_batch_size": 5461 })).found, "5461 records in one request");
        assert_eq!(batch(&json!({ "max_batch_size": 1 })).level, Level::Warn);
        assert_eq!(batch(&json!({})).level, Level::Ok);
    }
}
