//! Servers that go away in the middle of a batch: each of its trials ends once all the same, and everything is delivered.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use labtop::config;

use crate::support::labtop::Labtop;
use crate::support::proxy::{Mode, Proxy};
use crate::support::terminal::Terminal;
use crate::support::{own_servers, servers, trials};

const TRIALS: usize = 200;
const STEPS: usize = 10;

fn batch(delay_ms: u32) -> String {
    format!(
        "name = \"outage\"\ndataset = \"reviews\"\nrunner = \"simulate\"\nsteps = {STEPS}\ndelay_ms = {delay_ms}\n\
         parallel = 8\nrepeats = 100\n[params]\nmodel = [\"XGBoost\", \"BERT\"]\n"
    )
}

/// Each trial is there once, completed, with its curve, its performance row and its documents.
fn check(labtop: &Labtop) {
    for run in trials::each_once(labtop, TRIALS).iter().step_by(20) {
        assert_eq!(trials::points(labtop, run), STEPS * 3, "the whole curve: {run}");
    }
    assert_eq!(trials::documents(labtop), 5 * TRIALS as u64);
}

/// What the outbox holds arrives without anybody's doing.
fn wait_for_documents(labtop: &Labtop, meanwhile: &mut dyn FnMut()) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while trials::documents(labtop) < 5 * TRIALS as u64 {
        assert!(Instant::now() < deadline, "{} documents arrived", trials::documents(labtop));
        meanwhile();
    }
}

/// How long the dashboard takes to show another tab.
fn answer(terminal: &mut Terminal, key: &str, shows: &str) -> Duration {
    let begun = Instant::now();
    terminal.press(key);
    while !terminal.text().contains(shows) {
        assert!(begun.elapsed() < Duration::from_secs(20), "no answer to {key}:\n{}", terminal.text());
        assert!(terminal.read(Duration::from_millis(5)), "the program ended:\n{}", terminal.text());
    }
    begun.elapsed()
}

/// Trials that have ended, as the dashboard tells.
fn done(terminal: &Terminal) -> Option<usize> {
    let text = terminal.text();
    let (before, _) = text.split_once(&format!("/{TRIALS}"))?;
    let digits: String = before.chars().rev().take_while(char::is_ascii_digit).collect();
    digits.chars().rev().collect::<String>().parse().ok()
}

/// Two restarts of PostgreSQL, and twenty seconds without Chroma; real servers, and a dashboard that is used meanwhile.
#[test]
fn a_batch_in_the_dashboard_outlives_its_servers() {
    let Some(servers) = own_servers::start() else { return };
    let chroma = |servers: &own_servers::OwnServers| {
        servers.address("CHROMA_URL").trim_start_matches("http://").to_owned()
    };
    // Started again it may have another port.
    let door = Proxy::to(&chroma(&servers));
    let variables = vec![
        ("LABTOP__PROFILE".to_owned(), "servers".to_owned()),
        ("LABTOP__BATCHES".to_owned(), "batches".to_owned()),
        ("DATABASE_URL".to_owned(), servers.address("DATABASE_URL")),
        ("CHROMA_URL".to_owned(), format!("http://{}", door.address())),
    ];
    let labtop = Labtop::new().with(variables);
    std::fs::create_dir(labtop.folder.path().join("batches")).unwrap();
    labtop.write("batches/outage.toml", &batch(60));
    let mut terminal = labtop.dashboard(160, 45);
    terminal.wait_for("No experiments yet");
    terminal.press("b");
    terminal.wait_for("outage");
    terminal.press("\r");
    terminal.wait("some trials", |screen| screen.contains(&format!("/{TRIALS}")));

    let mut answers = Vec::new();
    let mut use_it = |terminal: &mut Terminal| {
        for (key, shows) in [("5", "Health"), ("1", "Experiments ─")] {
            answers.push(answer(terminal, key, shows));
            terminal.read(Duration::from_millis(50));
        }
    };
    servers.stop("chroma");
    let stopped = Instant::now();
    for _ in 0..2 {
        let before = done(&terminal);
        std::thread::scope(|scope| {
            let restart = scope.spawn(|| {
                servers.stop("postgres");
                servers.start("postgres");
            });
            while !restart.is_finished() {
                use_it(&mut terminal);
            }
        });
        let later = Instant::now() + Duration::from_secs(60);
        while done(&terminal) <= before && Instant::now() < later {
            use_it(&mut terminal);
        }
        assert!(done(&terminal) > before, "nothing goes on after a restart:\n{}", terminal.text());
    }
    while stopped.elapsed() < Duration::from_secs(20) {
        use_it(&mut terminal);
    }
    servers.start("chroma");
    door.aim(&chroma(&servers));
    while !terminal.text().contains("Best performing model") {
        use_it(&mut terminal);
    }
    wait_for_documents(&labtop, &mut || use_it(&mut terminal));
    terminal.press("q");
    assert_eq!(terminal.wait_for_end(), 0);
    check(&labtop);
    answers.sort();
    let at = |share: usize| answers[answers.len() * share / 100].as_secs_f64() * 1e3;
    println!(
        "{} keys answered: p50 {:.1} p95 {:.1} worst {:.1} ms",
        answers.len(),
        at(50),
        at(95),
        answers.last().unwrap().as_secs_f64() * 1e3
    );
    // Far from the 50 ms that a machine with nothing else to do shows.
    assert!(at(95) < 500.0, "{answers:?}");
}

/// What is wrong on the way to a server, one thing after another while a batch runs, and for how long.
const FAULTS: [(Mode, Duration); 6] = [
    (Mode::ResetAfter(0), Duration::from_millis(500)),
    (Mode::Delay(Duration::from_secs(2)), Duration::from_secs(3)),
    (Mode::Refuse, Duration::from_secs(2)),
    (Mode::ResetAfter(2000), Duration::from_secs(1)),
    (Mode::Drip { bytes: 64, pause: Duration::from_millis(5) }, Duration::from_secs(2)),
    (Mode::HalfOpen, Duration::from_secs(3)),
];

#[test]
fn a_batch_outlives_every_fault_on_the_way_to_postgres() {
    campaign(40, |pg, _| pg);
}

#[test]
fn a_batch_outlives_every_fault_on_the_way_to_chroma() {
    // Trials do not wait for Chroma: without the longer pauses all of them would be over before its last fault.
    campaign(120, |_, chroma| chroma);
}

fn campaign(delay_ms: u32, which: for<'a> fn(&'a Proxy, &'a Proxy) -> &'a Proxy) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some((pg, pg_place)) = runtime.block_on(servers::postgres()) else { return };
    let Some((chroma, chroma_place)) = runtime.block_on(servers::chroma()) else { return };
    let doors =
        (Proxy::to(&format!("{}:{}", pg.host, pg.port)), Proxy::to(chroma.url.trim_start_matches("http://")));
    // The analytics tell databases apart by their addresses: every command goes the same way.
    let pg = config::Postgres { port: doors.0.address().port(), ..pg };
    let chroma = config::Chroma { url: format!("http://{}", doors.1.address()), ..chroma };
    let labtop = Labtop::new().with(servers::variables(&pg, &chroma)).keeping(pg_place).keeping(chroma_place);
    let file = labtop.write("outage.toml", &batch(delay_ms));
    let mut command = labtop.command();
    command
        .args(["batch", "run", &file])
        // What is swallowed is given up in time for the test.
        .env("LABTOP__POSTGRES__STATEMENT_TIMEOUT_MS", "3000")
        .env("LABTOP__POSTGRES__CONNECT_TIMEOUT_MS", "3000")
        .env("LABTOP__CHROMA__TIMEOUT_MS", "3000");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let ended = Arc::new(AtomicUsize::new(0));
    let (count, stdout) = (ended.clone(), child.stdout.take().unwrap());
    let reading = std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            count.fetch_add(usize::from(line.unwrap().contains("completed successfully")), Ordering::SeqCst);
        }
    });
    let stderr = std::thread::spawn({
        let stderr = child.stderr.take().unwrap();
        move || std::io::read_to_string(stderr).unwrap()
    });
    let door = which(&doors.0, &doors.1);
    for (fault, time) in FAULTS {
        let (before, deadline) = (ended.load(Ordering::SeqCst), Instant::now() + Duration::from_secs(60));
        wait(|| {
            assert!(Instant::now() < deadline, "nothing goes on before {fault:?}");
            ended.load(Ordering::SeqCst) >= before + 10 || reading.is_finished()
        });
        assert!(!reading.is_finished(), "the batch ended before {fault:?}: {:?}", stderr.join());
        door.set(fault);
        let until = Instant::now() + time;
        wait(|| Instant::now() >= until);
        door.set(Mode::Pass);
    }
    reading.join().unwrap();
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}: {}", stderr.join().unwrap());
    // Whatever is still in the outbox is delivered by whoever looks after it next: at the latest when a claim has run out
    // whose owner could not give it back.
    wait_for_documents(&labtop, &mut || {
        // It ends with 3 while something waits.
        let synced = labtop.command().arg("sync").output().unwrap();
        assert!(matches!(synced.status.code(), Some(0 | 3)), "{synced:?}");
    });
    check(&labtop);
}

fn wait(mut condition: impl FnMut() -> bool) {
    while !condition() {
        std::thread::sleep(Duration::from_millis(1));
    }
}
