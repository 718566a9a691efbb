//! `DATABASE_URL`: where PostgreSQL is in one line, as psql takes it: `postgres://user:password@host:port/database?sslmode=…`, or
//! `host=… user=…`.
//!
//! No message repeats a value but that of a known parameter: a URL with a mistake in it may hold its password anywhere.

use figment::value::{Dict, Value};

use super::ConfigError;
use super::layers::Layer;

const NAME: &str = "environment DATABASE_URL";
const EXPECTED: &str = "expected postgres://user:password@host:port/database";
const ENCODE: &str = "special characters in a password must be percent-encoded, as %40 for @";

/// The parameters and the settings they are; those of seconds are turned into milliseconds.
const PARAMETERS: [(&str, &str); 12] = [
    ("host", "host"),
    ("port", "port"),
    ("dbname", "database"),
    ("user", "user"),
    ("password", "password"),
    ("passfile", "passfile"),
    ("sslmode", "sslmode"),
    ("sslrootcert", "sslrootcert"),
    ("channel_binding", "channel_binding"),
    ("application_name", "application_name"),
    ("connect_timeout", "connect_timeout_ms"),
    // As hosts of databases write it into the addresses of their poolers.
    ("pgbouncer", "pooler"),
];

type Pairs = Vec<(String, String)>;

/// What the URL leaves out keeps its value.
pub(super) fn layer(url: &str) -> Result<Layer, ConfigError> {
    let wrong = |problem: String| ConfigError(format!("{NAME}: {problem}"));
    let body = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
    let pairs = match body {
        Some(body) => of_url(body),
        None if url.contains("://") || !url.contains('=') => Err(EXPECTED.to_owned()),
        None => of_words(url),
    };
    let mut values = Dict::new();
    for (name, text) in pairs.map_err(wrong)? {
        let Some((_, key)) = PARAMETERS.iter().find(|(parameter, _)| *parameter == name) else {
            let known = PARAMETERS.map(|(name, _)| name).join(", ");
            return Err(wrong(format!("unknown parameter `{name}` (known: {known})")));
        };
        if text.is_empty() {
            continue;
        }
        if name == "host" && text.contains(',') {
            return Err(wrong("it names several hosts, and labtop connects to one".to_owned()));
        }
        values.insert((*key).to_owned(), value(&name, &text).map_err(wrong)?);
    }
    let values = Dict::from([("postgres".to_owned(), Value::from(values))]);
    Ok(Layer { name: NAME.to_owned(), values })
}

fn value(name: &str, text: &str) -> Result<Value, String> {
    match name {
        "port" => match text.parse::<u16>() {
            Ok(port) => Ok(Value::from(port)),
            Err(_) => Err(format!("its port is not a number from 1 to 65535 ({ENCODE})")),
        },
        "connect_timeout" => milliseconds(text).map(Value::from),
        "pgbouncer" if text == "true" => Ok(Value::from("transaction")),
        "pgbouncer" => Ok(Value::from("none")),
        _ => Ok(Value::from(text)),
    }
}

/// Of seconds as psql counts them: 0 is no limit, which here is an hour.
pub(super) fn milliseconds(seconds: &str) -> Result<u64, String> {
    match seconds.parse::<u64>() {
        Ok(0) => Ok(3_600_000),
        Ok(seconds) => Ok(seconds.saturating_mul(1000)),
        Err(_) => Err(format!("the time to connect, '{seconds}', is not a whole number of seconds")),
    }
}

fn of_url(body: &str) -> Result<Pairs, String> {
    let (place, query) = body.split_once('?').unwrap_or((body, ""));
    let (authority, database) = place.split_once('/').unwrap_or((place, ""));
    let (who, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = who.split_once(':').unwrap_or((who, ""));
    let mut pairs = Pairs::new();
    let mut add = |name: &str, text: &str| -> Result<(), String> {
        pairs.push((name.to_owned(), decoded(text)?));
        Ok(())
    };
    // The colons within brackets belong to an IPv6 address.
    let (host, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((address, "")) => (address, ""),
        Some((address, rest)) => match rest.strip_prefix(':') {
            Some(port) => (address, port),
            None => return Err(format!("what follows its host is no port; {EXPECTED}")),
        },
        None if host.contains(',') => (host, ""),
        None => host.split_once(':').unwrap_or((host, "")),
    };
    for (name, text) in
        [("user", user), ("password", password), ("host", host), ("port", port), ("dbname", database)]
    {
        add(name, text)?;
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((name, text)) = pair.split_once('=') else {
            return Err(format!("behind its ? a parameter has no value ({ENCODE})"));
        };
        add(name, text)?;
    }
    Ok(pairs)
}

fn decoded(text: &str) -> Result<String, String> {
    let wrong = || format!("a % in it is not followed by two hexadecimal digits ({ENCODE})");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        rest = others;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = others.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(wrong)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
        rest = &others[2..];
    }
    String::from_utf8(bytes).map_err(|_| "what is percent-encoded in it is not UTF-8".to_owned())
}

/// `key = value` with blanks between; a value in single quotes may hold blanks, and a backslash takes what follows as it is.
fn of_words(text: &str) -> Result<Pairs, String> {
    let mut pairs = Pairs::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((name, value)) = rest.split_once('=') else {
            return Err("a word in it is not of the form name=value".to_owned());
        };
        let (value, behind) = word(value.trim_start())?;
        pairs.push((name.trim().to_owned(), value));
        rest = behind.trim_start();
    }
    Ok(pairs)
}

fn word(text: &str) -> Result<(String, &str), String> {
    let quoted = text.strip_prefix('\'');
    let text = quoted.unwrap_or(text);
    let mut word = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => word.extend(letters.next().map(|(_, letter)| letter)),
            '\'' if quoted.is_some() => return Ok((word, &text[at + 1..])),
            blank if quoted.is_none() && blank.is_whitespace() => return Ok((word, &text[at..])),
            letter => word.push(letter),
        }
    }
    if quoted.is_some() { Err("a quote in it is never closed".to_owned()) } else { Ok((word, "")) }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use crate::config::{ChannelBinding, Pooler, Postgres, SslMode};

    fn told(url: &str) -> String {
        Postgres::from_url(url).unwrap_err().to_string()
    }

    #[test]
    fn a_url_says_all_that_psql_takes() {
        let url = "postgres://m%40e:p%3A%40ss%2F%25@db.example:6543/my%20lab?sslmode=verify-full&sslrootcert=%2Fca.pem\
                   &connect_timeout=3&application_name=night%20run&channel_binding=require&pgbouncer=true&passfile=/p";
        let said = Postgres::from_url(url).unwrap();
        assert_eq!((said.host.as_str(), said.port, said.database.as_str()), ("db.example", 6543, "my lab"));
        assert_eq!((said.user.as_str(), said.password.expose_secret()), ("m@e", "p:@ss/%"));
        assert_eq!((said.sslmode, said.sslrootcert.to_str()), (SslMode::VerifyFull, Some("/ca.pem")));
        assert_eq!((said.connect_timeout_ms, said.application_name.as_str()), (3000, "night run"));
        assert_eq!((said.channel_binding, said.pooler), (ChannelBinding::Require, Pooler::Transaction));
        assert_eq!(said.passfile.to_str(), Some("/p"));
    }

    #[test]
    fn what_a_url_leaves_out_keeps_its_value() {
        let said = Postgres::from_url("postgresql://db").unwrap();
        assert_eq!((said.host.as_str(), said.port, said.user.as_str()), ("db", 5432, "ml_user"));
        let said = Postgres::from_url("postgres://[::1]:7/x").unwrap();
        assert_eq!((said.host.as_str(), said.port), ("::1", 7));
        let said = Postgres::from_url("postgres://%2Fvar%2Frun%2Fpostgresql/x").unwrap();
        assert!(said.is_local_socket() && said.host == "/var/run/postgresql");
        let said = Postgres::from_url("postgres:///x?host=/run/pg&port=9").unwrap();
        assert_eq!((said.host.as_str(), said.port), ("/run/pg", 9));
    }

    #[test]
    fn the_form_of_words_is_taken_too() {
        let said = Postgres::from_url(r"host=db password='a b\'c\\' user = me sslmode=require").unwrap();
        assert_eq!(
            (said.host.as_str(), said.user.as_str(), said.password.expose_secret()),
            ("db", "me", r"a b'c\")
        );
        assert_eq!(said.sslmode, SslMode::Require);
        assert!(told("host=db password='open").contains("never closed"));
    }

    #[test]
    fn mistakes_are_told_without_the_password() {
        for (url, words) in [
            ("mysql://me:s3cret@db/x", "expected postgres://"),
            ("s3cret", "expected postgres://"),
            ("postgres://me:s3cret@db/x?sslmod=require", "unknown parameter `sslmod` (known: host,"),
            ("postgres://me:s3cret@db/x?sslmode=allow", "`postgres.sslmode`"),
            ("postgres://me:s3cret@a,b/x", "several hosts"),
            ("postgres://me:s3cret@a:1,b:2/x", "several hosts"),
            ("postgres://me:s3cret/x@db/x", "must be percent-encoded"),
            ("postgres://me:s3cret%zz@db/x", "two hexadecimal digits"),
            ("postgres://me:s3cret?x@db/x", "no value"),
            ("postgres://me:s3cret@db/x?connect_timeout=soon", "'soon', is not a whole number"),
        ] {
            let text = told(url);
            assert!(text.starts_with("environment DATABASE_URL: ") && text.contains(words), "{url}: {text}");
            assert!(!text.contains("s3cret"), "{url}: {text}");
        }
    }
}
