//! Sees to the prebuilt DuckDB library: fetches it when it is missing and tells the linker where it is at run time.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const SCRIPT: &str = "assets/scripts/fetch-duckdb";

fn main() -> Result<(), String> {
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={SCRIPT}");
    if env::var_os("CARGO_FEATURE_BUNDLED_DUCKDB").is_some() {
        return Ok(());
    }
    let macos = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "macos");
    // `.cargo/config.toml` sets it; without it the duckdb crate downloads the library and puts it beside the program.
    if let Some(dir) = env::var_os("DUCKDB_LIB_DIR").map(PathBuf::from) {
        let library = dir.join(if macos { "libduckdb.dylib" } else { "libduckdb.so" });
        println!("cargo:rerun-if-changed={}", library.display());
        if !library.exists() {
            fetch(&dir)?;
        }
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", dir.display());
    }
    // Moved elsewhere, the program finds the library beside itself or in ../lib/labtop.
    let origin = if macos { "@loader_path" } else { "$ORIGIN" };
    println!("cargo:rustc-link-arg=-Wl,-rpath,{origin}");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{origin}/../lib/labtop");
    Ok(())
}

fn fetch(dir: &Path) -> Result<(), String> {
    let status = Command::new("sh").arg(SCRIPT).env("DUCKDB_LIB_DIR", dir).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => {
            Err(format!("the DuckDB library is missing in {} and {SCRIPT} failed, see above", dir.display()))
        }
        Err(error) => Err(format!("{SCRIPT} could not be started: {error}")),
    }
}
