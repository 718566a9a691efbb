//! Files that are right, files that are wrong, and the shipped ones.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;

fn parse(text: &str) -> Result<BatchSpec, BatchSpecError> {
    BatchSpec::parse(text, "b.toml")
}

fn minimal(rest: &str) -> String {
    format!("name = 'n'\ndataset = 'd'\n{rest}\n[params]\nmodel = ['A', 'B']\n")
}

#[test]
fn the_published_batch() {
    let spec = parse(include_str!("../../../config/batches/published.toml")).unwrap();
    assert_eq!((spec.dataset.as_str(), spec.parallel), ("sentiment_analysis_v3", 1));
    let trials = spec.trials();
    let models: Vec<&str> = trials.iter().map(|trial| trial.model.as_str()).collect();
    assert_eq!(models, ["RandomForest", "XGBoost", "NeuralNet"]);
    let expected = json!({ "learning_rate": 0.001, "batch_size": 32, "regularization": 0.01 });
    assert!(trials.iter().all(|trial| json!(trial.parameters) == expected));
    assert_eq!(spec.summary(), "3 trials · grid · simulate · parallel 1");
}

#[test]
fn every_shipped_file_parses_and_every_key_is_documented() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config/batches");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            BatchSpec::read(&path).unwrap();
            files += 1;
        }
    }
    assert!(files >= 2);
    let manual = include_str!("../../../config/batches/README.md");
    for key in to_keys() {
        assert!(manual.contains(&format!("`{key}`")), "{key} is not documented");
    }
}

/// Every key there is, from a file that uses all of them.
fn to_keys() -> BTreeSet<String> {
    let text = minimal("steps = 1\ndelay_ms = 1\nseed = 1\nsearch = { method = 'random', trials = 2 }");
    let mut json = parse(&text).unwrap().to_json();
    let text = minimal(
        "runner = 'process'\ncommand = ['a']\ncwd = '.'\ntimeout = '1s'\nretries = 1\nenv = ['A']\nmetrics = { a = '(a)' }",
    );
    json.extend(parse(&text).unwrap().to_json());
    assert!(json.len() > 15, "every key there is");
    let inner = ["objective", "search"].into_iter().flat_map(|key| {
        json[key].as_object().unwrap().keys().map(move |name| format!("{key}.{name}")).collect::<Vec<_>>()
    });
    json.keys().filter(|key| !["objective", "search"].contains(&key.as_str())).cloned().chain(inner).collect()
}

#[test]
fn a_command_belongs_to_a_file_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.toml");
    let read = |cwd: &str| {
        let text = minimal(&format!("runner = 'process'\ncommand = ['a', '{{model}}']\n{cwd}"));
        std::fs::write(&path, text).unwrap();
        BatchSpec::read(&path).unwrap().process.unwrap().cwd.unwrap()
    };
    assert_eq!(read(""), folder.path());
    assert_eq!(read("cwd = '../x/./y'"), folder.path().parent().unwrap().join("x/y"));
    assert_eq!(read("cwd = '/srv'"), std::path::Path::new("/srv"));
    let spec = BatchSpec::read(&path).unwrap();
    assert_eq!(BatchSpec::from_json(&spec.to_json()).unwrap(), spec);
    assert_eq!(spec.summary(), "2 trials · grid · process · parallel 1 · a {model}");
}

#[test]
fn a_grid_tries_every_combination_once() {
    let spec = parse(&(minimal("repeats = 2\nseed = 3") + "lr = [0.1, 0.2, 0.3]\nopt = 'adam'\n")).unwrap();
    let trials = spec.trials();
    assert_eq!(trials.len(), 12);
    let distinct: BTreeSet<String> =
        trials.iter().map(|trial| format!("{} {}", trial.model, json!(trial.parameters))).collect();
    assert_eq!(distinct.len(), 6);
    assert_eq!(trials[0].parameters, trials[1].parameters);
    assert_eq!(trials[2].parameters["lr"], 0.2);
    let seeds: BTreeSet<u64> = trials.iter().map(|trial| trial.seed).collect();
    assert_eq!(seeds.len(), 12);
    assert!(seeds.iter().all(|seed| i64::try_from(*seed).is_ok()));
}

#[test]
fn random_draws_stay_in_range_and_repeat_with_their_seed() {
    let text = minimal("seed = 9\nsearch = { method = 'random', trials = 200 }")
        + "lr = { log_uniform = [1e-4, 1e-1] }\ndrop = { uniform = [0, 0.5] }\nlayers = { int_uniform = [1, 4] }\n";
    let spec = parse(&text).unwrap();
    let trials = spec.trials();
    assert_eq!((trials.len(), &trials), (200, &spec.trials()));
    let small = trials.iter().filter(|trial| trial.parameters["lr"].as_f64().unwrap() < 1e-3).count();
    assert!((40..100).contains(&small), "a third of the draws lies in each order of magnitude, not {small}");
    for trial in &trials {
        assert!((1e-4..=1e-1).contains(&trial.parameters["lr"].as_f64().unwrap()));
        assert!((0.0..=0.5).contains(&trial.parameters["drop"].as_f64().unwrap()));
        assert!((1..=4).contains(&trial.parameters["layers"].as_i64().unwrap()));
    }
    let layers: BTreeSet<i64> =
        trials.iter().map(|trial| trial.parameters["layers"].as_i64().unwrap()).collect();
    assert_eq!(layers.len(), 4);
}

#[test]
fn it_is_read_back_from_what_is_kept() {
    let text =
        minimal("steps = 3\nlabels = ['gpu', 'big', 'gpu']\nsearch = { method = 'random', trials = 5 }")
            + "lr = { uniform = [0.5, 1] }\n";
    let spec = parse(&text).unwrap();
    assert_eq!(spec.labels, ["gpu", "big"]);
    assert!(spec.summary().ends_with("for workers with gpu, big"), "{}", spec.summary());
    let kept = BatchSpec::from_json(&spec.to_json()).unwrap();
    assert_eq!((&kept, kept.trials()), (&spec, spec.trials()));
    assert_ne!(parse(&text).unwrap().seed, spec.seed, "a seed is drawn where the file names none");
}

#[test]
fn mistakes_name_the_key_and_what_is_accepted() {
    for (text, words) in [
        (minimal("paralel = 2"), vec!["b.toml", "line 3", "paralel", "parallel"]),
        (minimal("parallel = 65"), vec!["`parallel` must be 1 to 64"]),
        (minimal("repeats = 0"), vec!["`repeats`"]),
        (minimal("labels = 'gpu'"), vec!["line 3", "labels"]),
        (minimal("labels = ['a b']"), vec!["`labels`: 'a b' is no label"]),
        (minimal("runner = 'magic'"), vec!["'magic'", "simulate"]),
        (minimal("steps = 'many'"), vec!["line 3", "u32"]),
        (minimal("search = { method = 'asha' }"), vec!["asha is not available", "grid, random"]),
        (minimal("search = { method = 'random' }"), vec!["`search.trials` is missing"]),
        (minimal("search = { method = 'grid', trials = 3 }"), vec!["`search.trials` belongs to"]),
        (minimal("objective = { metric = 'x', goal = 'best' }"), vec!["maximize", "minimize"]),
        (minimal("") + "lr = { uniform = [0, 1] }", vec!["`params.lr` is a range", "random"]),
        (minimal("") + "lr = { gaussian = [0, 1] }", vec!["unknown range 'gaussian'", "log_uniform"]),
        (minimal("") + "lr = { log_uniform = [0, 1] }", vec!["above 0"]),
        (minimal("") + "lr = []", vec!["`params.lr`: the list is empty"]),
        ("name = 'n'\ndataset = 'd'\n[params]\nlr = 1".to_owned(), vec!["`params.model` is missing"]),
        ("name = 'n'\ndataset = 'd'\n[params]\nmodel = 3".to_owned(), vec!["`params.model`: a name"]),
        ("name = ' '\ndataset = 'd'\n[params]\nmodel = 'A'".to_owned(), vec!["`name` must not be empty"]),
        (minimal("repeats = 100000") + "lr = [1, 2]", vec!["at most 100000"]),
    ] {
        let error = parse(&text).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{text}\n{error}\nlacks {word}");
        }
    }
}
