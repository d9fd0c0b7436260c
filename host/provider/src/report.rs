//! What a provider finds out about its set-up before it serves, for the eyes of its owner.

use std::fmt;

/// How good a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    Good,
    /// It works, but perhaps not as meant.
    Doubtful,
    /// It does not work.
    Bad,
}

/// Findings in the order they were made, one a line.
#[derive(Debug, Clone, Default)]
pub struct Report {
    lines: Vec<(Finding, &'static str, String)>,
}

impl Report {
    pub fn add(&mut self, finding: Finding, subject: &'static str, text: impl Into<String>) {
        self.lines.push((finding, subject, text.into()));
    }

    /// A finding that is good, or bad with its reason.
    pub fn result(&mut self, subject: &'static str, result: Result<String, String>) {
        match result {
            Ok(text) => self.add(Finding::Good, subject, text),
            Err(text) => self.add(Finding::Bad, subject, text),
        }
    }

    /// Whether nothing is bad.
    pub fn is_good(&self) -> bool {
        self.lines.iter().all(|(finding, ..)| *finding != Finding::Bad)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (finding, subject, text) in &self.lines {
            let word = match finding {
                Finding::Good => "PASS",
                Finding::Doubtful => "WARN",
                Finding::Bad => "FAIL",
            };
            writeln!(f, "{word}  {subject:<8}  {text}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_finding_makes_a_bad_report_and_a_doubt_does_not() {
        let mut report = Report::default();
        report.result("token", Ok("found".to_owned()));
        report.add(Finding::Doubtful, "pins", "simulated");
        assert!(report.is_good());

        report.result("core", Err("Connection refused".to_owned()));

        assert!(!report.is_good());
        assert_eq!(
            report.to_string(),
            "PASS  token     found\nWARN  pins      simulated\nFAIL  core      Connection refused\n"
        );
    }
}
