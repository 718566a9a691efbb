//! From text to tree.

use jiff::Timestamp;
use jiff::civil::Date;

use super::lex::{Place, Token, error, lex};
use super::{Comparison, Field, Filter, FilterError, Literal, Operand, names};

/// Brackets inside brackets: more than a person writes, less than the stack holds.
const DEEPEST: usize = 64;

impl Filter {
    /// Parses a filter. `now` is what relative times count from.
    pub fn parse(text: &str, now: Timestamp) -> Result<Filter, FilterError> {
        let mut parser = Parser { text, tokens: lex(text)?, at: 0, depth: 0, now };
        let filter = parser.any()?;
        match parser.peek() {
            None => Ok(filter),
            Some(_) => Err(parser.wrong("expected and, or, or the end")),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Place>,
    at: usize,
    depth: usize,
    now: Timestamp,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Filter, FilterError> {
        let mut parts = vec![self.all()?];
        while self.take_word("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::Or(parts) })
    }

    fn all(&mut self) -> Result<Filter, FilterError> {
        let mut parts = vec![self.term()?];
        while self.take_word("and") {
            parts.push(self.term()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::And(parts) })
    }

    fn term(&mut self) -> Result<Filter, FilterError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.wrong("too many brackets inside each other"));
        }
        let filter = if self.take_word("not") || self.take_sign("!") {
            Filter::Not(Box::new(self.term()?))
        } else if self.take_sign("(") {
            let inner = self.any()?;
            if !self.take_sign(")") {
                return Err(self.wrong("expected )"));
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn comparison(&mut self) -> Result<Filter, FilterError> {
        let field = self.field("expected a name, as in accuracy > 0.9")?;
        let negated = self.take_word("not");
        if self.take_word("in") {
            return self.list(field, negated);
        }
        if negated {
            return Err(self.wrong("expected in after not"));
        }
        let Some(comparison) = self.sign() else {
            return Err(self.wrong("expected =, !=, <, <=, >, >=, ~, in or not in"));
        };
        let with = self.operand(comparison)?;
        Ok(Filter::Compare { field, comparison, with })
    }

    fn sign(&mut self) -> Option<Comparison> {
        let Some(Token::Sign(sign)) = self.peek() else { return None };
        let comparison = match *sign {
            "=" | "==" => Comparison::Equal,
            "!=" | "<>" => Comparison::NotEqual,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            "~" => Comparison::Matches,
            _ => return None,
        };
        self.at += 1;
        Some(comparison)
    }

    fn operand(&mut self, comparison: Comparison) -> Result<Operand, FilterError> {
        if let Some(literal) = self.literal()? {
            if comparison == Comparison::Matches && !matches!(literal, Literal::Text(_)) {
                self.at -= 1;
                return Err(self.wrong("~ needs a pattern between quotes"));
            }
            return Ok(Operand::Literal(literal));
        }
        if comparison == Comparison::Matches {
            return Err(self.wrong("~ needs a pattern between quotes"));
        }
        self.field("expected a number, a text between quotes, a date, or a name").map(Operand::Field)
    }

    fn list(&mut self, field: Field, negated: bool) -> Result<Filter, FilterError> {
        if !self.take_sign("(") {
            return Err(self.wrong("expected ( after in"));
        }
        let mut values = Vec::new();
        loop {
            match self.literal()? {
                Some(literal) => values.push(literal),
                None => return Err(self.wrong("expected a number or a text between quotes")),
            }
            if self.take_sign(")") {
                return Ok(Filter::In { field, values, negated });
            }
            if !self.take_sign(",") {
                return Err(self.wrong("expected , or )"));
            }
        }
    }

    fn field(&mut self, otherwise: &str) -> Result<Field, FilterError> {
        let Some(Place { token: Token::Word(word), start, end }) = self.tokens.get(self.at).cloned() else {
            return Err(self.wrong(otherwise));
        };
        self.at += 1;
        let failed = |message: String| error(self.text, start, end, message);
        if matches!(self.peek(), Some(Token::Sign("("))) {
            self.at += 1;
            let metric = match self.peek().cloned() {
                Some(Token::Word(name) | Token::Quoted(name)) => name,
                _ => return Err(self.wrong("expected the name of a metric")),
            };
            self.at += 1;
            if !self.take_sign(")") {
                return Err(self.wrong("expected )"));
            }
            return names::curve(&word, &metric).map_err(failed);
        }
        // `params.` ends in a dot where a name between backquotes follows.
        if let (Some(section), Some(Token::Quoted(name))) = (word.strip_suffix('.'), self.peek().cloned()) {
            self.at += 1;
            return names::named(&format!("{section}.`{}`", name.replace('`', "``"))).map_err(failed);
        }
        names::named(&word).map_err(failed)
    }

    /// A constant, if one stands here.
    fn literal(&mut self) -> Result<Option<Literal>, FilterError> {
        let literal = match self.peek() {
            Some(Token::Number(number)) => Literal::Number(*number),
            Some(Token::Text(text)) => Literal::Text(text.clone()),
            Some(Token::Span(seconds)) => Literal::Moment(self.ago(*seconds)?),
            Some(Token::Date(date)) => Literal::Moment(self.moment(date)?),
            Some(Token::Word(word)) if word == "true" || word == "false" => Literal::Bool(word == "true"),
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(literal))
    }

    fn ago(&self, seconds: f64) -> Result<Timestamp, FilterError> {
        let microseconds = (seconds * 1e6).clamp(-9e18, 9e18) as i64;
        let at = self.now.as_microsecond().checked_add(microseconds);
        let at = at.and_then(|at| Timestamp::from_microsecond(at).ok());
        at.ok_or_else(|| self.wrong("this time lies too far away"))
    }

    fn moment(&self, text: &str) -> Result<Timestamp, FilterError> {
        let day =
            || text.parse::<Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|day| day.timestamp());
        let time = || text.parse::<Timestamp>().ok();
        day()
            .filter(|_| text.len() == 10)
            .or_else(time)
            .ok_or_else(|| self.wrong("expected a date like 2026-01-31, or a time like 2026-01-31T12:00:00Z"))
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|place| &place.token)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let here = matches!(self.peek(), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word));
        self.at += usize::from(here);
        here
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let here = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(here);
        here
    }

    /// An error at the token that stands here, or at the end.
    fn wrong(&self, message: &str) -> FilterError {
        let (start, end) = self
            .tokens
            .get(self.at)
            .map_or((self.text.len(), self.text.len()), |place| (place.start, place.end));
        error(self.text, start, end, message)
    }
}
