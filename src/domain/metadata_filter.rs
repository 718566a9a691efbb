//! Which documents a search looks at, by their metadata: `year >= 2020 and topic = "war and peace"`.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value, json};

/// Conditions that all hold. Without any, every document fits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetadataFilter {
    pub conditions: Vec<Condition>,
}

/// One key of the metadata against a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Of the object itself, not of what is nested in it.
    pub key: String,
    pub test: Test,
    /// A text, a number or a boolean; for an order, a number. A text never equals a number.
    pub value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    Equal,
    /// Holds for documents without the key as well.
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Test {
    /// Longer signs before those that they begin with.
    const SIGNS: [(&str, Test); 7] = [
        ("!=", Test::NotEqual),
        ("<=", Test::AtMost),
        (">=", Test::AtLeast),
        ("==", Test::Equal),
        ("=", Test::Equal),
        ("<", Test::Less),
        (">", Test::Greater),
    ];

    /// As SQL and people write it.
    pub fn sign(self) -> &'static str {
        match self {
            Test::Equal => "=",
            Test::NotEqual => "<>",
            Test::Less => "<",
            Test::AtMost => "<=",
            Test::Greater => ">",
            Test::AtLeast => ">=",
        }
    }

    /// In Chroma's filter language.
    fn operator(self) -> &'static str {
        match self {
            Test::Equal => "$eq",
            Test::NotEqual => "$ne",
            Test::Less => "$lt",
            Test::AtMost => "$lte",
            Test::Greater => "$gt",
            Test::AtLeast => "$gte",
        }
    }
}

impl MetadataFilter {
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// The same in Chroma's filter language; none when everything fits.
    pub fn to_where(&self) -> Option<Map<String, Value>> {
        let one = |condition: &Condition| {
            let Condition { key, test, value } = condition;
            Map::from_iter([(key.clone(), json!({ test.operator(): value }))])
        };
        match self.conditions.as_slice() {
            [] => None,
            [only] => Some(one(only)),
            all => {
                let all: Vec<Value> = all.iter().map(|condition| Value::Object(one(condition))).collect();
                Some(Map::from_iter([("$and".to_owned(), Value::Array(all))]))
            }
        }
    }
}

impl fmt::Display for MetadataFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, Condition { key, test, value }) in self.conditions.iter().enumerate() {
            let and = if number == 0 { "" } else { " and " };
            let sign = if *test == Test::NotEqual { "!=" } else { test.sign() };
            write!(f, "{and}{key} {sign} {value}")?;
        }
        Ok(())
    }
}

impl FromStr for MetadataFilter {
    type Err = String;

    /// `key SIGN value`, joined by `and`. Values and keys with blanks or signs in them are quoted, "like this" or
    /// 'like this'; a bare value that reads as a number, true or false is one.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut conditions = Vec::new();
        let mut rest = text.trim();
        if rest.is_empty() {
            return Ok(MetadataFilter::default());
        }
        loop {
            let condition;
            (condition, rest) = read_condition(rest)?;
            conditions.push(condition);
            if rest.is_empty() {
                return Ok(MetadataFilter { conditions });
            }
            rest = after_and(rest).ok_or_else(|| format!("expected `and` before `{rest}`"))?;
        }
    }
}

fn after_and(text: &str) -> Option<&str> {
    let (word, rest) = text.split_once(char::is_whitespace)?;
    word.eq_ignore_ascii_case("and").then(|| rest.trim_start())
}

fn read_condition(text: &str) -> Result<(Condition, &str), String> {
    let (key, _, rest) = read_word(text)?;
    if key.is_empty() {
        return Err(format!("expected key=value, as in year>=2020, at `{text}`"));
    }
    let found = Test::SIGNS.iter().find_map(|(sign, test)| Some((*test, rest.strip_prefix(sign)?)));
    let Some((test, rest)) = found else {
        return Err(format!("expected one of = != < <= > >= after `{key}`"));
    };
    let (word, quoted, rest) = read_word(rest.trim_start())?;
    if word.is_empty() && !quoted {
        return Err(format!("`{key}` is compared with nothing: give a value (\"\" is the empty text)"));
    }
    let plain =
        serde_json::from_str(&word).ok().filter(|value: &Value| value.is_number() || value.is_boolean());
    let value = plain.filter(|_| !quoted).unwrap_or(Value::String(word));
    if !matches!(test, Test::Equal | Test::NotEqual) && !value.is_number() {
        return Err(format!("`{key} {}` needs a number, not {value}", test.sign()));
    }
    Ok((Condition { key, test, value }, rest))
}

/// A quoted text, or what stands before the next blank or sign; whether it was quoted; and what comes after it.
fn read_word(text: &str) -> Result<(String, bool, &str), String> {
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\''));
    let Some(quote) = quote else {
        let end = text.find(|letter: char| letter.is_whitespace() || "=!<>".contains(letter));
        let (word, rest) = text.split_at(end.unwrap_or(text.len()));
        return Ok((word.to_owned(), false, rest.trim_start()));
    };
    let mut word = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((place, letter)) = letters.next() {
        if letter == quote {
            return Ok((word, true, text[place + 1..].trim_start()));
        }
        let escaped = if letter == '\\' { letters.next().map(|(_, next)| next) } else { None };
        word.push(escaped.unwrap_or(letter));
    }
    Err(format!("the quote at `{text}` is never closed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(text: &str) -> Vec<(String, Test, Value)> {
        let filter: MetadataFilter = text.parse().unwrap();
        filter.conditions.into_iter().map(|one| (one.key, one.test, one.value)).collect()
    }

    #[test]
    fn conditions_are_read() {
        assert_eq!(conditions(" "), []);
        assert_eq!(conditions("topic=science"), [("topic".to_owned(), Test::Equal, json!("science"))]);
        assert_eq!(
            conditions("year>= 2020 AND 'a key' != \"war \\\"and\\\" peace\" and ok = true and n=\"7\""),
            [
                ("year".to_owned(), Test::AtLeast, json!(2020)),
                ("a key".to_owned(), Test::NotEqual, json!("war \"and\" peace")),
                ("ok".to_owned(), Test::Equal, json!(true)),
                ("n".to_owned(), Test::Equal, json!("7")),
            ]
        );
        assert_eq!(conditions("and=and"), [("and".to_owned(), Test::Equal, json!("and"))]);
        assert_eq!(conditions("x=''"), [("x".to_owned(), Test::Equal, json!(""))]);
    }

    #[test]
    fn what_is_no_condition_is_told() {
        let error = |text: &str| text.parse::<MetadataFilter>().unwrap_err();
        assert!(error("topic").contains("expected one of = !="), "{}", error("topic"));
        assert!(error("=x").starts_with("expected key=value"));
        assert!(error("x=").contains("compared with nothing"));
        assert!(error("x > many").contains("needs a number"));
        assert!(error("x = 'open").contains("never closed"));
        assert!(error("x=1 y=2").contains("expected `and` before `y=2`"));
        assert!(error("x=1 and").contains("expected"));
    }

    #[test]
    fn chroma_would_understand_it() {
        let filter: MetadataFilter = "a=1 and b<2.5".parse().unwrap();
        assert_eq!(
            Value::Object(filter.to_where().unwrap()),
            json!({"$and": [{"a": {"$eq": 1}}, {"b": {"$lt": 2.5}}]})
        );
        assert_eq!(MetadataFilter::default().to_where(), None);
        assert_eq!(filter.to_string(), "a = 1 and b < 2.5");
    }
}
