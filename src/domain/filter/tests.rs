//! What the language means, and that nothing typed into it can do harm.

use proptest::prelude::*;

use super::*;
use jiff::Timestamp;

fn parse(text: &str) -> Result<Filter, FilterError> {
    Filter::parse(text, Timestamp::from_second(1_000_000).unwrap())
}

fn number(field: Field, comparison: Comparison, number: f64) -> Filter {
    Filter::Compare { field, comparison, with: Operand::Literal(Literal::Number(number)) }
}

#[test]
fn the_example_of_the_manual() {
    let filter = parse(
        "metrics.accuracy > 0.9 and params.learning_rate <= 1e-3 and (model = 'BERT' or tag = 'baseline') and not status \
         in ('failed', 'interrupted') and name ~ 'v[23]' and created > -7d",
    )
    .unwrap();
    let Filter::And(parts) = filter else { panic!("{filter:?}") };
    assert_eq!(parts.len(), 6);
    assert_eq!(parts[0], number(Field::Figure(Figure::Accuracy), Comparison::Greater, 0.9));
    assert_eq!(parts[1], number(Field::Param("learning_rate".to_owned()), Comparison::LessOrEqual, 0.001));
    assert!(matches!(&parts[2], Filter::Or(either) if either.len() == 2));
    assert!(matches!(&parts[3], Filter::Not(inner) if matches!(**inner, Filter::In { negated: false, .. })));
    let week_ago = Timestamp::from_second(1_000_000 - 7 * 86_400).unwrap();
    assert_eq!(
        parts[5],
        Filter::Compare {
            field: Field::Created,
            comparison: Comparison::Greater,
            with: Operand::Literal(Literal::Moment(week_ago))
        }
    );
}

#[test]
fn names_of_every_spelling() {
    for (text, field) in [
        ("training_time", Field::Figure(Figure::TrainingTimeSeconds)),
        ("model_name", Field::Model),
        ("metrics.f1_score", Field::Figure(Figure::F1Score)),
        ("metrics.loss", Field::Metric("loss".to_owned())),
        ("best(accuracy)", Field::Curve(Aggregate::Best, "accuracy".to_owned())),
        ("params.`odd name`", Field::Param("odd name".to_owned())),
        ("created_at", Field::Created),
    ] {
        assert_eq!(Field::parse(text).unwrap(), field, "{text}");
        assert_eq!(Field::parse(&field.to_string()).unwrap(), field, "{text}");
    }
}

#[test]
fn metric_against_metric_and_lists() {
    assert_eq!(
        parse("precision > recall").unwrap(),
        Filter::Compare {
            field: Field::Figure(Figure::Precision),
            comparison: Comparison::Greater,
            with: Operand::Field(Field::Figure(Figure::Recall))
        }
    );
    assert!(
        matches!(parse("id not in (1, 2)").unwrap(), Filter::In { negated: true, values, .. } if values.len() == 2)
    );
    assert_eq!(parse("name = 'it''s'").unwrap(), parse("name = \"it's\"").unwrap());
}

#[test]
fn mistakes_are_pointed_at() {
    for (text, at, words) in [
        ("accuracy >", 10, "expected a number"),
        ("acuracy > 0.9", 0, "did you mean accuracy"),
        ("accuracy > 0.9 model = 'x'", 15, "expected and, or"),
        ("name = 'open", 7, "not closed"),
        ("(accuracy > 1", 13, "expected )"),
        ("accuracy ? 1", 9, "no meaning"),
        ("created > -7y", 10, "expected a number, or a time"),
        ("created > 2026-13-01", 10, "expected a date"),
        ("name ~ 3", 7, "pattern"),
        ("", 0, "expected a name"),
        ("mean(loss) > 1", 0, "best, min, max, last"),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.start, at, "{text}: {error}");
        assert!(error.message.contains(words), "{text}: {}", error.message);
    }
    let shown = parse("accuracy > 0.9 and modl = 'x'").unwrap_err().to_string();
    assert!(shown.starts_with("accuracy > 0.9 and modl = 'x'\n                   ^^^^\n"), "{shown}");
}

#[test]
fn brackets_without_end_do_no_harm() {
    assert!(parse(&"(".repeat(100_000)).is_err());
    assert!(parse(&"not ".repeat(100_000)).is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        if let Err(error) = parse(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn no_sequence_of_words_panics(words in prop::collection::vec(prop::sample::select(vec![
        "accuracy", "params.x", "best", "(", ")", "and", "or", "not", "in", "=", "~", "<=", "'a'", "1e3", "-7d", ",",
        "2026-01-31", "`q`", "params.", "é", "!",
    ]), 0..24)) {
        let _ = parse(&words.join(" "));
    }

    #[test]
    fn field_names_round_trip(name in "[^\\s]{1,12}") {
        let field = Field::Param(name);
        prop_assert_eq!(Field::parse(&field.to_string()).unwrap(), field);
    }
}
