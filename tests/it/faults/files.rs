//! DuckDB files that are not as they should be: each has its words, and none is damaged.

use std::fs;
use std::path::Path;

use crate::support::labtop::{Labtop, Ran};

const FILE: &str = "lab.duckdb";

/// `labtop ls` on a file that holds `bytes`; the file is the same afterwards.
fn ls_on(bytes: &[u8]) -> Ran {
    let labtop = Labtop::new();
    let path = labtop.folder.path().join(FILE);
    fs::write(&path, bytes).unwrap();
    let ran = labtop.run(&["--store", FILE, "ls"]);
    assert_eq!(fs::read(&path).unwrap(), bytes, "{ran:?}");
    ran
}

/// A store with an experiment in it.
fn seeded() -> Labtop {
    let labtop = Labtop::new();
    labtop.ok(&["--store", FILE, "run", "--model", "BERT", "--dataset", "reviews"]);
    labtop
}

fn bytes(labtop: &Labtop) -> Vec<u8> {
    fs::read(labtop.folder.path().join(FILE)).unwrap()
}

#[test]
fn a_file_of_another_kind() {
    let ran = ls_on(b"id,model\n1,BERT\n");
    assert!(ran.stderr.contains("lab.duckdb is not a DuckDB file"), "{ran:?}");
    assert_eq!(ran.code, 2);
}

/// What DuckDB writes before a block: `Checksum` in its `src/common/checksum.cpp`.
fn checksum(block: &[u8]) -> u64 {
    block.chunks_exact(8).fold(5381, |sum, word| {
        sum ^ u64::from_le_bytes(word.try_into().unwrap()).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    })
}

#[test]
fn a_file_of_a_newer_duckdb() {
    let mut newer = bytes(&seeded());
    assert_eq!(checksum(&newer[8..4096]).to_le_bytes(), newer[..8], "as DuckDB reckons it");
    // The storage version stands after the checksum and "DUCK".
    newer[12] = 250;
    let sum = checksum(&newer[8..4096]);
    newer[..8].copy_from_slice(&sum.to_le_bytes());
    let ran = ls_on(&newer);
    assert!(ran.stderr.contains("lab.duckdb") && ran.stderr.contains("newer DuckDB"), "{ran:?}");
    assert_eq!(ran.code, 2);
}

#[test]
fn a_file_that_was_cut_off_or_scribbled_on() {
    let whole = bytes(&seeded());
    let mut scribbled = whole.clone();
    scribbled[12_288..20_000].fill(0xAB);
    for (what, damaged) in
        [("cut", &whole[..whole.len() / 2]), ("short", &whole[..5000]), ("scribbled", &scribbled[..])]
    {
        let ran = ls_on(damaged);
        assert!(ran.stderr.contains("lab.duckdb is damaged"), "{what}: {ran:?}");
        assert!(ran.code == 1 || ran.code == 2, "{what}: {ran:?}");
    }
}

#[test]
fn a_file_of_a_newer_labtop() {
    let labtop = seeded();
    let sql = "INSERT INTO ml_schema.labtop_migrations (name, checksum) VALUES ('9999_future', 'x')";
    let connection = duckdb::Connection::open(labtop.folder.path().join(FILE)).unwrap();
    connection.execute_batch(sql).unwrap();
    drop(connection);
    let before = bytes(&labtop);
    let ran = labtop.run(&["--store", FILE, "ls"]);
    assert!(ran.stderr.contains("newer labtop"), "{ran:?}");
    assert_eq!(ran.code, 2);
    assert_eq!(bytes(&labtop), before);
}

#[test]
fn a_folder_in_its_place() {
    let labtop = Labtop::new();
    fs::create_dir(labtop.folder.path().join(FILE)).unwrap();
    let ran = labtop.run(&["--store", FILE, "ls"]);
    assert!(ran.stderr.contains("lab.duckdb is a folder"), "{ran:?}");
    assert_eq!(ran.code, 2);
}

#[test]
fn a_folder_that_cannot_be_made() {
    let labtop = Labtop::new();
    fs::write(labtop.folder.path().join("in-the-way"), "").unwrap();
    let ran = labtop.run(&["--store", "in-the-way/lab.duckdb", "ls"]);
    assert!(ran.stderr.contains("in-the-way/lab.duckdb") && ran.stderr.contains("--store"), "{ran:?}");
    assert_eq!(ran.code, 3);
}

/// A disk of a few hundred kilobytes, where this machine lets us have one.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(folder: &'a Path, size: &str) -> Option<Self> {
        let mount = ["-t", "tmpfs", "-o", &format!("size={size}"), "labtop-test"];
        let done = std::process::Command::new("mount").args(mount).arg(folder).output().ok()?;
        done.status.success().then_some(SmallDisk(folder))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_loses_nothing_that_was_stored() {
    let labtop = Labtop::new();
    let folder = labtop.folder.path().join("small");
    fs::create_dir(&folder).unwrap();
    // Only root may mount; elsewhere there is nothing to try.
    let Some(_disk) = SmallDisk::mount(&folder, "6m") else { return };
    let store = "small/lab.duckdb";
    let first = labtop.json(&["--store", store, "run", "--model", "BERT", "--dataset", "reviews"]);
    let free = fs::File::create(folder.join("ballast")).unwrap();
    let mut ballast = std::io::BufWriter::new(free);
    // Until nothing more goes in.
    while std::io::Write::write_all(&mut ballast, &[0; 4096]).is_ok() {}
    drop(ballast);
    let ran = labtop.run(&[
        "--store",
        store,
        "run",
        "--model",
        "XGBoost",
        "--dataset",
        "reviews",
        "--repeat",
        "20",
    ]);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("small/lab.duckdb") && ran.stderr.contains("disk"), "{ran:?}");
    fs::remove_file(folder.join("ballast")).unwrap();
    let after = labtop.json(&["--store", store, "ls", "--sort", "id"]);
    assert_eq!(after[0]["key"], first[0]["key"]);
    assert_eq!(after[0]["status"], "completed");
}
