//! That operations are counted as they end, and what that says of a role.

use std::time::Duration;

use super::*;
use crate::store::StoreError;

const PLACE: Place = Place { role: Role::Collections, store: "collections", backend: Backend::Chroma };

fn failed(kind: ErrorKind) -> Result<()> {
    Err(StoreError::new(kind, Backend::Chroma, "asking", "it did not answer").remedy("Start it."))
}

fn page(meter: &Meter) -> String {
    let mut page = Page::default();
    page.operations(meter);
    page.into_text()
}

#[tokio::test(start_paused = true)]
async fn operations_are_counted_by_how_they_end_and_timed() {
    let meter = Arc::new(Meter::default());
    let gauge = Gauge::new(&meter, PLACE);
    assert_eq!(page(&meter), "", "nothing was asked");
    gauge.time("list", async { Ok(()) }).await.unwrap();
    gauge.time("list", async { failed(ErrorKind::NotFound) }).await.unwrap_err();
    let waiting = gauge.time("list", std::future::pending::<Result<()>>());
    tokio::time::timeout(Duration::from_millis(1), waiting).await.unwrap_err();
    let text = page(&meter);
    let labels = r#"backend="Chroma",role="collections",store="collections",operation="list""#;
    for line in [
        format!(r#"labtop_operations_total{{{labels},outcome="ok"}} 1"#),
        format!(r#"labtop_operations_total{{{labels},outcome="not_found"}} 1"#),
        format!(r#"labtop_operations_total{{{labels},outcome="cancelled"}} 1"#),
        format!(r#"labtop_operation_duration_seconds_bucket{{{labels},le="0.0005"}} 2"#),
        format!(r#"labtop_operation_duration_seconds_bucket{{{labels},le="+Inf"}} 2"#),
        format!(r#"labtop_operation_duration_seconds_count{{{labels}}} 2"#),
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
    let timings = meter.timings();
    assert_eq!((timings.len(), timings[0].answered, timings[0].failed), (1, 2, 1));
}

#[test]
fn durations_fall_into_their_buckets() {
    let meter = Meter::default();
    for micros in [500, 501, 3_000_000, 60_000_000] {
        meter.note(PLACE, "list", Duration::from_micros(micros), None);
    }
    let text = page(&meter);
    let count = |bound: &str| {
        let label = format!(r#"le="{bound}"}} "#);
        let line = text.lines().find_map(|line| line.split_once(&label));
        line.unwrap_or_else(|| panic!("{bound}: {text}")).1.parse::<u64>().unwrap()
    };
    assert_eq!(["0.0005", "0.001", "2.5", "10", "30", "+Inf"].map(count), [1, 2, 2, 3, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_role_stands_by_the_last_answer_that_tells() {
    let meter = Arc::new(Meter::default());
    let gauge = Gauge::new(&meter, PLACE);
    let turned = async || tokio::time::timeout(Duration::from_millis(1), meter.turned()).await.is_ok();
    assert!(meter.standing(Role::Collections).is_none() && !turned().await);
    for (answer, is_well, turns) in [
        (Ok(()), true, true),
        (failed(ErrorKind::NotFound), true, false),
        (failed(ErrorKind::Unavailable), false, true),
        (failed(ErrorKind::Invalid), false, false),
        (failed(ErrorKind::Timeout), false, false),
        (failed(ErrorKind::Conflict), true, true),
        (failed(ErrorKind::Backend), true, false),
    ] {
        let shown = format!("{answer:?}");
        // Its outcome is what is looked at below.
        let _ = gauge.time("list", async { answer }).await;
        let standing = meter.standing(Role::Collections).unwrap();
        assert_eq!(standing.trouble.is_none(), is_well, "{shown}");
        assert_eq!(turned().await, turns, "{shown}");
    }
    assert!(meter.standing(Role::Experiments).is_none());
}

#[test]
fn labels_and_help_cannot_break_the_page() {
    let mut page = Page::default();
    page.family("labtop_x", "gauge", "A \\ and\na \"line\".", &[(&[("name", "a\"b\\c\nd")], 1.0)]);
    page.family("labtop_none", "gauge", "Nothing.", &[]);
    let expected = "# HELP labtop_x A \\\\ and\\na \"line\".\n# TYPE labtop_x gauge\n\
                    labtop_x{name=\"a\\\"b\\\\c\\nd\"} 1\n";
    assert_eq!(page.into_text(), expected);
}
