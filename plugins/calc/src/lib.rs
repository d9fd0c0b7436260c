//! Exact decimal numbers and units.

mod expression;
mod functions;
mod number;
mod units;

use berth_plugin::export_typed;

export_typed!(Calc: berth::calc::calc);

struct Calc;

impl Guest for Calc {
    fn evaluate(expression: String) -> Result<Answer, Error> {
        let number = expression::evaluate(&expression)?;
        Ok(Answer { value: number.to_string(), exact: number.exact })
    }

    fn convert(value: String, source: String, target: String) -> Result<Converted, Error> {
        let (source, target) = (units::find(&source)?, units::find(&target)?);
        let number = units::convert(expression::evaluate(&value)?, source, target)?;
        Ok(Converted { value: number.to_string(), unit: target.name.into(), exact: number.exact })
    }

    fn units(kind: Option<String>) -> Vec<Unit> {
        let wanted = |unit: &&units::Known| kind.as_ref().is_none_or(|kind| kind == unit.kind);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let told = |unit: &units::Known| Unit {
            name: unit.name.into(),
            others: names(unit.others),
            kind: unit.kind.into(),
        };
        units::ALL.iter().filter(wanted).map(told).collect()
    }
}

fn failure(code: &str, message: impl Into<String>) -> Error {
    Error { code: code.into(), message: message.into() }
}

#[cfg(test)]
mod tests;
