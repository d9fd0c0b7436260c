//! Tables in Markdown, one for each part, and what was aimed at.

use std::fmt;
use std::time::Duration;

use super::measure::{Figures, Way, rounds};

/// How long everything takes.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Ways that are compared take turns this often; figures are medians of the rounds.
    pub rounds: usize,
    /// How long a way is at work in each round.
    pub round: Duration,
    /// The same before the time that counts.
    pub warm_up: Duration,
    /// To see that it works; the figures say nothing.
    pub is_quick: bool,
}

impl Effort {
    pub const FULL: Self = Self {
        rounds: 9,
        round: Duration::from_millis(200),
        warm_up: Duration::from_millis(30),
        is_quick: false,
    };
    pub const QUICK: Self =
        Self { rounds: 1, round: Duration::from_millis(1), warm_up: Duration::ZERO, is_quick: true };

    /// `full`, or next to nothing.
    pub fn of<T>(self, full: T, quick: T) -> T {
        if self.is_quick { quick } else { full }
    }
}

/// What was measured.
pub struct Report {
    pub effort: Effort,
    parts: Vec<Part>,
    aims: Vec<String>,
}

struct Part {
    name: &'static str,
    head: String,
    rows: Vec<String>,
}

/// What a figure may be at most, or must be at least.
#[derive(Clone, Copy)]
pub enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

impl Report {
    pub fn new(effort: Effort) -> Self {
        Self { effort, parts: Vec::new(), aims: Vec::new() }
    }

    /// What comes next belongs to `part`.
    pub fn begin(&mut self, part: &'static str) {
        println!("\n{part}");
        self.parts.push(Part { name: part, head: String::new(), rows: Vec::new() });
    }

    /// The names of the columns of this part.
    pub fn head(&mut self, columns: &[&str]) {
        let part = self.part();
        part.head = format!("| {} |\n{}|", columns.join(" | "), "|---".repeat(columns.len()));
        println!("{}", part.head);
    }

    /// One more row; shown at once, as the whole takes minutes.
    pub fn row(&mut self, cells: &[String]) {
        let row = format!("| {} |", cells.join(" | "));
        println!("{row}");
        self.part().rows.push(row);
    }

    /// Lets `ways` take turns with so many callers each, and compares all with the first.
    pub fn compare(&mut self, callers: usize, ways: &[Way<'_>]) -> Vec<Figures> {
        if self.part().head.is_empty() {
            self.head(&["call", "callers", "p50 µs", "p99 µs", "calls/s", "× p50", "× p99", "× calls/s"]);
        }
        let all = rounds(self.effort, callers, ways);
        for (way, own) in ways.iter().zip(&all) {
            let times = [own.p50, own.p99].map(|micros| format!("{micros:.1}"));
            let against = [own.times_p50, own.times_p99, own.times_rate].map(|times| format!("{times:.2}"));
            let mut cells = vec![way.name.clone(), callers.to_string()];
            cells.extend(times);
            cells.push(format!("{:.0}", own.per_second));
            cells.extend(against);
            self.row(&cells);
        }
        all
    }

    /// Compares `is` with what was aimed at.
    pub fn aim(&mut self, what: &str, is: f64, unit: &str, aim: Aim) {
        let (met, limit) = match aim {
            Aim::AtMost(most) => (is <= most, format!("≤ {most}")),
            Aim::AtLeast(least) => (is >= least, format!("≥ {least}")),
        };
        let is = if is.abs() < 10.0 { format!("{is:.2}") } else { format!("{is:.1}") };
        let row = format!("| {what} | {limit} {unit} | {is} | {} |", if met { "yes" } else { "**no**" });
        self.aims.push(row);
    }

    /// Whether each part that has begun, but `without`, has told something.
    #[cfg(test)]
    pub fn silent_parts(&self, without: &[&str]) -> Vec<&'static str> {
        let silent = self.parts.iter().filter(|part| part.rows.is_empty() && !without.contains(&part.name));
        silent.map(|part| part.name).collect()
    }

    fn part(&mut self) -> &mut Part {
        self.parts.last_mut().unwrap()
    }
}

/// What was aimed at in the parts that ran.
pub fn aims(report: &mut Report) {
    report.head(&["aim", "limit", "is", "met"]);
    let rows = std::mem::take(&mut report.aims);
    for row in &rows {
        println!("{row}");
    }
    report.part().rows = rows;
}

impl fmt::Display for Report {
    /// Each table between two comments, so that a page can take it over.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.parts.iter().filter(|part| !part.rows.is_empty()) {
            writeln!(
                f,
                "<!-- bench {} -->\n{}\n{}\n<!-- end -->\n",
                part.name,
                part.head,
                part.rows.join("\n")
            )?;
        }
        Ok(())
    }
}
