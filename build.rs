//! Sees to the prebuilt DuckDB library: fetches it when it is missing and tells the program where to find it.
//!
//! The build script of `libduckdb-sys` runs before this one and only names the library and its folder to the linker, which
//! runs last: so the library may still be fetched here.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const SCRIPT: &str = "assets/scripts/fetch-duckdb";

fn main() -> Result<(), String> {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_BUNDLED_DUCKDB").is_some() {
        return Ok(());
    }
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    println!("cargo:rerun-if-changed={SCRIPT}");
    let macos = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "macos");
    let origin = if macos { "@loader_path" } else { "$ORIGIN" };
    match env::var_os("DUCKDB_LIB_DIR").map(PathBuf::from) {
        Some(dir) => {
            find(&dir, macos)?;
            println!("cargo:rustc-link-arg=-Wl,-rpath,{}", dir.display());
        }
        // Only where `.cargo/config.toml` is not read: then the crate downloads the library (DUCKDB_DOWNLOAD_LIB=1) and
        // puts it beside the test programs, or the system has one.
        None => println!("cargo:rustc-link-arg=-Wl,-rpath,{origin}/deps"),
    }
    // Moved elsewhere, the program finds the library beside itself or in ../lib/labtop.
    println!("cargo:rustc-link-arg=-Wl,-rpath,{origin}");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{origin}/../lib/labtop");
    Ok(())
}

/// Fetches the library into `dir` unless it is there; the script leaves a library of the user's own alone.
fn find(dir: &Path, macos: bool) -> Result<(), String> {
    if dir.is_relative() {
        return Err(format!("DUCKDB_LIB_DIR must be an absolute path, not {}", dir.display()));
    }
    let library = dir.join(if macos { "libduckdb.dylib" } else { "libduckdb.so" });
    // Deleted, it is fetched again. Unpacked, it keeps its old date, so a fresh one does not start a second build.
    println!("cargo:rerun-if-changed={}", library.display());
    let fetched = Command::new("sh").arg(SCRIPT).env("DUCKDB_LIB_DIR", dir).status();
    match fetched {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("the DuckDB library could not be fetched into {}: see above", dir.display())),
        Err(_) if library.exists() => Ok(()),
        Err(error) => {
            Err(format!("{SCRIPT} could not be started ({error}); run it by hand, then build again"))
        }
    }
}
