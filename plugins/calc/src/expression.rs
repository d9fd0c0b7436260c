//! From a text to a number: the usual order of operations, and a bound on brackets within brackets.

use rust_decimal::Decimal;

use crate::number::Number;
use crate::{Error, failure, functions};

const MOST_BYTES: usize = 4096;
/// Brackets, signs and powers within each other.
const MOST_DEPTH: usize = 64;

/// The number that `text` means.
pub fn evaluate(text: &str) -> Result<Number, Error> {
    if text.len() > MOST_BYTES {
        return Err(failure("too_large", format!("an expression has at most {MOST_BYTES} bytes")));
    }
    let mut reader = Reader { text, at: 0, depth: 0 };
    let number = reader.sum()?;
    match reader.peek() {
        None => Ok(number),
        Some(_) => Err(reader.unexpected()),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        self.rest().chars().next()
    }

    /// Steps over one of `signs`, if it is next.
    fn take(&mut self, signs: &[char]) -> Option<char> {
        let next = self.peek().filter(|next| signs.contains(next))?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Steps over the longest text of such characters.
    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !fits(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn sum(&mut self) -> Result<Number, Error> {
        let mut sum = self.product()?;
        while let Some(sign) = self.take(&['+', '-', '−']) {
            let next = self.product()?;
            sum = if sign == '+' { sum.plus(next)? } else { sum.minus(next)? };
        }
        Ok(sum)
    }

    fn product(&mut self) -> Result<Number, Error> {
        let mut product = self.signed()?;
        loop {
            if let Some(sign) = self.take(&['*', '×', '·', '/', '÷']) {
                let next = self.signed()?;
                product =
                    if matches!(sign, '/' | '÷') { product.over(next)? } else { product.times(next)? };
            } else if self.peek() == Some('m') && self.word_is("mod") {
                self.at += "mod".len();
                product = product.rest_of(self.signed()?)?;
            } else {
                return Ok(product);
            }
        }
    }

    fn word_is(&self, word: &str) -> bool {
        let rest = self.rest();
        rest.split(|c: char| !c.is_ascii_alphabetic()).next() == Some(word)
    }

    /// A sign binds weaker than a power: `-2^2` is `-4`.
    fn signed(&mut self) -> Result<Number, Error> {
        match self.take(&['-', '−', '+']) {
            None => self.power(),
            Some(sign) => {
                let number = self.deeper(Self::signed)?;
                let value = if sign == '+' { number.value } else { -number.value };
                Ok(Number { value, ..number })
            }
        }
    }

    fn power(&mut self) -> Result<Number, Error> {
        let base = self.hundredths()?;
        match self.take(&['^']) {
            // To the right first: `2^3^2` is `2^9`.
            Some(_) => base.power(self.deeper(Self::signed)?),
            None => Ok(base),
        }
    }

    fn hundredths(&mut self) -> Result<Number, Error> {
        let mut number = self.atom()?;
        while self.take(&['%']).is_some() {
            number = number.over(Number::exactly(Decimal::ONE_HUNDRED))?;
        }
        Ok(number)
    }

    fn atom(&mut self) -> Result<Number, Error> {
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let number = self.deeper(Self::sum)?;
                self.end_of_bracket()?;
                Ok(number)
            }
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_ascii_alphabetic() => {
                let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
                self.call(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn number(&mut self) -> Result<Number, Error> {
        let start = self.at;
        let text = self.take_while(|c| c.is_ascii_digit() || matches!(c, '.' | '_'));
        let digits = text.replace('_', "");
        let whole = digits.trim_start_matches('0').len();
        Decimal::from_str_exact(&digits).map(Number::exactly).map_err(|_| {
            if whole > 28 && digits.matches('.').count() < 2 {
                failure("too_large", format!("`{text}` has more digits than the 28 that are kept"))
            } else {
                syntax(format!(
                    "`{text}` at character {} is no number",
                    self.text[..start].chars().count() + 1
                ))
            }
        })
    }

    fn call(&mut self, name: &str) -> Result<Number, Error> {
        if self.take(&['(']).is_none() {
            return Err(failure(
                "unknown_name",
                format!("`{name}` is no number: functions are called as {name}(x)"),
            ));
        }
        let mut arguments = vec![self.deeper(Self::sum)?];
        while self.take(&[',', ';']).is_some() {
            arguments.push(self.deeper(Self::sum)?);
        }
        self.end_of_bracket()?;
        functions::call(name, &arguments)
    }

    fn end_of_bracket(&mut self) -> Result<(), Error> {
        match self.take(&[')']) {
            Some(_) => Ok(()),
            None => Err(self.unexpected()),
        }
    }

    fn deeper(&mut self, read: fn(&mut Self) -> Result<Number, Error>) -> Result<Number, Error> {
        if self.depth == MOST_DEPTH {
            return Err(failure(
                "too_large",
                format!("there are more than {MOST_DEPTH} brackets within each other"),
            ));
        }
        self.depth += 1;
        let number = read(self)?;
        self.depth -= 1;
        Ok(number)
    }

    fn unexpected(&mut self) -> Error {
        match self.peek() {
            None => syntax("the expression ends too early".into()),
            Some(next) => {
                let place = self.text[..self.at].chars().count() + 1;
                syntax(format!("`{next}` at character {place} was not expected"))
            }
        }
    }
}

fn syntax(message: String) -> Error {
    failure("syntax", message)
}
