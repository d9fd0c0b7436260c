//! Whether arguments are ones that a rule allows. Pure: nothing is looked up, nothing is run.
//!
//! What no rule names is refused. What is allowed is written anew, so that the program reads each argument as the
//! rule did: an option and its value become one word, and nothing else begins with a dash.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use crate::policy::{Policy, Program};

/// Arguments of one run.
pub const MOST_ARGUMENTS: usize = 128;
/// The longest argument, in bytes.
pub const ARGUMENT_BYTES: usize = 4096;
/// All arguments together, in bytes.
pub const ARGUMENTS_BYTES: usize = 64 << 10;

/// What arguments may be.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// Put before those of the guest.
    pub fixed: Vec<String>,
    /// Options without a value, as they are spelt.
    pub flags: BTreeSet<String>,
    /// Options with a value.
    pub values: BTreeMap<String, Pattern>,
    /// Refused whatever else would allow them, with and without a value.
    pub denied: Vec<String>,
    pub positionals: Option<Positionals>,
    /// What may stand behind `--`.
    pub after_dashes: Option<Positionals>,
    pub write: bool,
    pub line: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Positionals {
    pub of: Pattern,
    pub most: usize,
}

/// What a value or a positional argument may be.
#[derive(Debug, Clone)]
pub(crate) enum Pattern {
    /// Letters, digits and `_ . , : + % -`.
    Word,
    Number,
    /// A path below the working folder.
    Path,
    /// A name of commits of git.
    Revision,
    /// One line of anything.
    Text,
    Choice(Vec<String>),
    /// The whole text.
    Regex(Regex),
}

impl Pattern {
    pub fn parse(word: &str) -> Result<Self, String> {
        match word {
            "word" => return Ok(Self::Word),
            "number" => return Ok(Self::Number),
            "path" => return Ok(Self::Path),
            "revision" => return Ok(Self::Revision),
            "text" => return Ok(Self::Text),
            _ => {}
        }
        let inner = word.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let regex = inner.and_then(|inner| Regex::new(&format!("^(?:{inner})$")).ok());
        regex.map(Self::Regex).ok_or_else(|| {
            format!("`{word}` is no pattern: word, number, path, revision, text, a list of words, or /regex/")
        })
    }

    /// No pattern lets through what programs take for an option or for the name of a file with arguments.
    fn fits(&self, text: &str) -> bool {
        if text.starts_with(['-', '@']) || text.chars().any(char::is_control) {
            return false;
        }
        let each = |extra: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c));
        match self {
            Self::Word => !text.is_empty() && text.len() <= 256 && each("_.,:+%-"),
            Self::Number => (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()),
            Self::Path => {
                !text.is_empty()
                    && !text.starts_with(['/', '~', ':'])
                    && !text.split('/').any(|part| part == "..")
            }
            Self::Revision => {
                let first =
                    text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || "_^".contains(c));
                first && text.len() <= 256 && each("_./@{}~^:+-")
            }
            Self::Text => true,
            Self::Choice(words) => words.iter().any(|word| word == text),
            Self::Regex(regex) => regex.is_match(text),
        }
    }

    fn said(&self) -> String {
        match self {
            Self::Word => "a word".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Path => "a path below the folder".to_owned(),
            Self::Revision => "a revision".to_owned(),
            Self::Text => "one line that begins with neither `-` nor `@`".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Regex(regex) => format!("text that fits {regex}"),
        }
    }
}

/// Arguments that may be run, as the program gets them.
#[derive(Debug, Clone)]
pub struct Allowed<'a> {
    pub program: &'a Program,
    /// The command of the program that they name.
    pub command: Option<String>,
    pub argv: Vec<String>,
    /// Whether a granted folder may be written.
    pub write: bool,
    /// Where the rule stands, counted from 1.
    pub line: usize,
}

/// Why arguments may not be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    pub reason: String,
    /// The argument that is meant, counted from 1.
    pub argument: Option<usize>,
    /// Where the rule stands, counted from 1; `None` when there is no rule for the program.
    pub line: Option<usize>,
}

impl Policy {
    /// Decides whether the program `id` may be run with `argv`.
    pub fn check(&self, id: &str, argv: &[String]) -> Result<Allowed<'_>, Refused> {
        let Some(program) = self.lookup(id) else {
            let known: Vec<&str> = self.programs().map(|program| program.id.as_str()).collect();
            let shown: String = id.chars().filter(|c| !c.is_control()).take(64).collect();
            let reason = format!("`{shown}` is no program of the policy: it has {}", known.join(", "));
            return Err(Refused { reason, argument: None, line: None });
        };
        let line = program.line;
        sizes(argv).map_err(|(argument, reason)| Refused { reason, argument, line: Some(line) })?;
        let mut words = program.rule.fixed.clone();
        if program.commands.is_empty() {
            program.rule.arguments(argv, 0, &mut words)?;
            let write = program.rule.write;
            return Ok(Allowed { program, command: None, argv: words, write, line });
        }
        let known = || program.commands.keys().cloned().collect::<Vec<_>>().join(", ");
        let Some(name) = argv.first() else {
            let reason = format!("`{id}` needs a command: {}", known());
            return Err(Refused { reason, argument: None, line: Some(line) });
        };
        let Some(rule) = program.commands.get(name) else {
            let reason = format!("`{}` is no command that `{id}` may run: {}", shown(name), known());
            return Err(Refused { reason, argument: Some(1), line: Some(line) });
        };
        words.push(name.clone());
        words.extend(rule.fixed.iter().cloned());
        rule.arguments(&argv[1..], 1, &mut words)?;
        Ok(Allowed { program, command: Some(name.clone()), argv: words, write: rule.write, line: rule.line })
    }
}

/// What of an argument is said again.
fn shown(argument: &str) -> String {
    let mut text: String =
        argument.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(80).collect();
    if argument.chars().count() > 80 {
        text.push('…');
    }
    text
}

fn sizes(argv: &[String]) -> Result<(), (Option<usize>, String)> {
    if argv.len() > MOST_ARGUMENTS {
        return Err((None, format!("there are {} arguments, the limit is {MOST_ARGUMENTS}", argv.len())));
    }
    if argv.iter().map(String::len).sum::<usize>() > ARGUMENTS_BYTES {
        return Err((None, format!("the arguments have more than {ARGUMENTS_BYTES} bytes together")));
    }
    for (index, argument) in argv.iter().enumerate() {
        if argument.len() > ARGUMENT_BYTES {
            return Err((Some(index + 1), format!("an argument has at most {ARGUMENT_BYTES} bytes")));
        }
        if argument.chars().any(char::is_control) {
            return Err((
                Some(index + 1),
                "an argument holds no control characters and no line ends".to_owned(),
            ));
        }
    }
    Ok(())
}

impl Rule {
    /// Checks `argv`, of which the first is the argument `before + 1`, and adds to `words` what is run.
    fn arguments(&self, argv: &[String], before: usize, words: &mut Vec<String>) -> Result<(), Refused> {
        let refuse = |index: usize, reason: String| Refused {
            reason,
            argument: Some(before + index + 1),
            line: Some(self.line),
        };
        let mut count = 0;
        let mut behind: Option<usize> = None;
        let mut index = 0;
        let mut last: Vec<String> = Vec::new();
        while let Some(argument) = argv.get(index) {
            if let Some(behind) = behind.as_mut() {
                let Some(rule) = &self.after_dashes else {
                    return Err(refuse(index, "nothing may stand behind `--`".to_owned()));
                };
                self.positional(rule, argument, behind).map_err(|reason| refuse(index, reason))?;
                last.push(argument.clone());
            } else if argument == "--" {
                if self.after_dashes.is_none() {
                    return Err(refuse(index, "`--` is not allowed".to_owned()));
                }
                behind = Some(0);
            } else if argument.starts_with('-') {
                let next = argv.get(index + 1);
                let option = self.option(argument, next).map_err(|reason| refuse(index, reason))?;
                index += usize::from(option.took_next);
                words.push(option.word);
            } else {
                let Some(rule) = &self.positionals else {
                    return Err(refuse(
                        index,
                        format!("`{}` is not allowed: only options are", shown(argument)),
                    ));
                };
                self.positional(rule, argument, &mut count).map_err(|reason| refuse(index, reason))?;
                words.push(argument.clone());
            }
            index += 1;
        }
        if behind.is_some() {
            words.push("--".to_owned());
            words.extend(last);
        }
        Ok(())
    }

    fn positional(&self, rule: &Positionals, argument: &str, count: &mut usize) -> Result<(), String> {
        *count += 1;
        if *count > rule.most {
            return Err(format!("there are more than {} arguments of this kind", rule.most));
        }
        if rule.of.fits(argument) {
            Ok(())
        } else {
            Err(format!("`{}` is not {}", shown(argument), rule.of.said()))
        }
    }

    fn option(&self, argument: &str, next: Option<&String>) -> Result<Taken, String> {
        let name = argument.split('=').next().unwrap_or(argument);
        let is_denied = self.denied.iter().any(|denied| {
            denied == argument
                || denied == name
                || (!denied.starts_with("--") && name.starts_with(denied.as_str()) && !name.starts_with("--"))
        });
        if is_denied {
            return Err(format!("`{}` is denied", shown(argument)));
        }
        if self.flags.contains(argument) {
            return Ok(Taken { word: argument.to_owned(), took_next: false });
        }
        let is_long = argument.starts_with("--");
        // `--name=value`, and `--name value` written as the former.
        if is_long && let Some((name, value)) = argument.split_once('=') {
            return match self.values.get(name) {
                Some(pattern) => Self::value(name, "=", value, pattern, false),
                None => Err(format!("`{}` is not allowed, or takes no value", shown(name))),
            };
        }
        if let Some(pattern) = self.values.get(argument) {
            let Some(value) = next else { return Err(format!("`{argument}` needs a value")) };
            return Self::value(argument, if is_long { "=" } else { "" }, value, pattern, true);
        }
        // `-n5`; any other cluster of letters would be read letter by letter.
        if !is_long
            && let Some((name, value)) = argument.char_indices().nth(2).map(|(at, _)| argument.split_at(at))
            && let Some(pattern) = self.values.get(name)
        {
            return Self::value(name, "", value, pattern, false);
        }
        Err(format!("`{}` is not allowed; options are spelt as the policy does, one by one", shown(argument)))
    }

    fn value(
        name: &str,
        join: &str,
        value: &str,
        pattern: &Pattern,
        took_next: bool,
    ) -> Result<Taken, String> {
        if pattern.fits(value) {
            Ok(Taken { word: format!("{name}{join}{value}"), took_next })
        } else {
            Err(format!("`{}` of `{name}` is not {}", shown(value), pattern.said()))
        }
    }
}

/// An option as the program gets it.
struct Taken {
    word: String,
    /// Whether the next argument was its value.
    took_next: bool,
}

#[cfg(test)]
mod tests;
