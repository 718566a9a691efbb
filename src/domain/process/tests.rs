//! Commands that are right, commands that are wrong, and what they become.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn keys(command: &[&str]) -> ProcessKeys {
    ProcessKeys {
        command: Some(command.iter().map(|&word| word.to_owned()).collect()),
        ..ProcessKeys::default()
    }
}

fn parameters() -> Parameters {
    let parameters = json!({ "learning_rate": 0.001, "opt": "adam w", "layers": [64, 32], "warm-up": true });
    parameters.as_object().cloned().unwrap()
}

fn values(parameters: &Parameters) -> Values<'_> {
    Values { model: "XGBoost", dataset: "reviews", seed: 7, key: Uuid::nil(), parameters }
}

#[test]
fn placeholders_become_what_the_run_has() {
    let command = [
        "train",
        "--lr={learning_rate}",
        "{opt}",
        "{layers}",
        "{{literal}}",
        "{model}/{dataset}/{seed}",
        "{key}",
    ];
    let spec = keys(&command).check(&["learning_rate", "opt", "layers", "warm-up", "model"]).unwrap();
    let parameters = parameters();
    let expanded = spec.expand(&values(&parameters)).unwrap();
    assert_eq!(
        expanded,
        [
            "train",
            "--lr=0.001",
            "adam w",
            "[64,32]",
            "{literal}",
            "XGBoost/reviews/7",
            "00000000-0000-0000-0000-000000000000"
        ]
    );
    assert_eq!(quoted(&expanded[..3]), "train --lr=0.001 'adam w'");
    let variables = ProcessSpec::variables(&values(&parameters)).unwrap();
    for (name, value) in [
        ("LABTOP_PARAM_LEARNING_RATE", "0.001"),
        ("LABTOP_PARAM_WARM_UP", "true"),
        ("LABTOP_SEED", "7"),
        ("LABTOP_MODEL", "XGBoost"),
        ("LABTOP_DATASET", "reviews"),
    ] {
        assert!(variables.contains(&(name.to_owned(), value.to_owned())), "{name}: {variables:?}");
    }
}

#[test]
fn what_is_wrong_names_the_key_and_what_is_accepted() {
    let wrong = |keys: ProcessKeys, expected: &[&str]| {
        let problem = keys.check(&["model", "lr"]).unwrap_err();
        assert!(expected.iter().all(|word| problem.contains(word)), "{problem}");
    };
    wrong(ProcessKeys::default(), &["`command`", "missing"]);
    wrong(keys(&[]), &["`command`", "program"]);
    wrong(keys(&["train", "{rate}"]), &["'rate'", "known: model, lr, dataset, seed, key", "doubled"]);
    wrong(keys(&["train", "{lr"]), &["no other half"]);
    wrong(keys(&["train", "lr}"]), &["no other half"]);
    wrong(keys(&["{model}"]), &["takes no placeholder"]);
    wrong(keys(&["train", "a\0b"]), &["NUL"]);
    for timeout in ["soon", "0s", "-3m", "9000h 5"] {
        wrong(ProcessKeys { timeout: Some(timeout.to_owned()), ..keys(&["a"]) }, &["`timeout`"]);
    }
    wrong(ProcessKeys { retries: Some(101), ..keys(&["a"]) }, &["`retries`", "100"]);
    for env in ["DATABASE_URL", "PGPASSWORD", "CHROMA_*", "LABTOP__POSTGRES__PASSWORD", "P", "A B", "*"] {
        let given = ProcessKeys { env: Some(vec![env.to_owned()]), ..keys(&["a"]) };
        match env {
            "P" => assert!(given.check(&[]).is_ok()),
            _ => wrong(given, &["`env`"]),
        }
    }
    for pattern in [json!("acc: [0-9]+"), json!("acc: ("), json!(1), json!("(?P<step>[0-9]+)")] {
        let metrics = [("acc".to_owned(), pattern)].into_iter().collect();
        wrong(ProcessKeys { metrics: Some(metrics), ..keys(&["a"]) }, &["`metrics.acc`"]);
    }
    for (names, expected) in
        [(vec!["a-b", "c", "a_b"], "LABTOP_PARAM_A_B"), (vec!["seed"], "{seed}"), (vec!["key"], "{key}")]
    {
        let problem = keys(&["a"]).check(&names).unwrap_err();
        assert!(problem.contains("`params.") && problem.contains(expected), "{problem}");
    }
}

#[test]
fn labtops_own_variables_are_not_handed_on() {
    let spec = keys(&["a"]).check(&[]).unwrap();
    for own in
        ["DATABASE_URL", "PGPASSWORD", "PGHOST", "CHROMA_API_KEY", "LABTOP__CHROMA__TOKEN", "LABTOP_RUN_KEY"]
    {
        assert!(!spec.inherits(own), "{own}");
    }
    assert!(spec.inherits("PATH") && spec.inherits("CUDA_VISIBLE_DEVICES"));
    let env = Some(vec!["PATH".to_owned(), "CUDA_*".to_owned(), "P*".to_owned()]);
    let some = ProcessKeys { env, ..keys(&["a"]) }.check(&[]).unwrap();
    assert!(some.inherits("PATH") && some.inherits("CUDA_VISIBLE_DEVICES") && !some.inherits("HOME"));
    assert!(!some.inherits("PGPASSWORD"), "whatever the names begin with");
}

#[test]
fn what_is_kept_is_read_back() {
    let metrics = [("acc".to_owned(), json!("acc: ([0-9.]+)"))].into_iter().collect();
    let full = ProcessKeys {
        cwd: Some("../train".to_owned()),
        timeout: Some("1h 30m".to_owned()),
        retries: Some(2),
        env: Some(vec!["PATH".to_owned()]),
        metrics: Some(metrics),
        ..keys(&["a", "{{}}"])
    };
    let mut spec = full.check(&[]).unwrap();
    assert_eq!(spec.timeout, Some(Duration::from_secs(5400)));
    spec.settle(Path::new("/srv/batches"));
    assert_eq!(spec.cwd.as_deref(), Some(Path::new("/srv/train")));
    assert_eq!(spec.keys().check(&[]).unwrap(), spec);
    let mut bare = keys(&["a"]).check(&[]).unwrap();
    assert_eq!(bare.keys().check(&[]).unwrap(), bare);
    bare.settle(Path::new("/srv/./batches/"));
    assert_eq!(bare.cwd.as_deref(), Some(Path::new("/srv/batches")));
}

proptest! {
    #[test]
    fn any_text_comes_through_when_its_braces_are_doubled(text in any::<String>()) {
        let doubled = text.replace('{', "{{").replace('}', "}}");
        let template = Template::parse(&doubled).unwrap();
        prop_assert!(!template.is_open());
        prop_assert_eq!(template.fill(|_| None).unwrap(), text);
    }

    /// A value is data: braces in it begin nothing.
    #[test]
    fn a_value_stays_as_it_is(value in any::<String>()) {
        let template = Template::parse("a={x}}}").unwrap();
        prop_assert_eq!(template.fill(|_| Some(value.clone())).unwrap(), format!("a={value}}}"));
    }
}
