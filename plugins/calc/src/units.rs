//! Units, each as an exact share of the first unit of its kind.

use rust_decimal::Decimal;

use crate::number::Number;
use crate::{Error, failure};

/// A unit: `value` of it is `(value + offset) * numerator / denominator` of the base of its kind.
pub struct Known {
    pub name: &'static str,
    pub others: &'static [&'static str],
    pub kind: &'static str,
    numerator: &'static str,
    denominator: &'static str,
    offset: &'static str,
}

const fn unit(
    kind: &'static str,
    name: &'static str,
    numerator: &'static str,
    others: &'static [&'static str],
) -> Known {
    Known { name, others, kind, numerator, denominator: "1", offset: "0" }
}

/// All of them, by kind.
pub const ALL: &[Known] = &[
    unit("length", "m", "1", &["metre", "metres", "meter", "meters"]),
    unit("length", "km", "1000", &["kilometre", "kilometres", "kilometer", "kilometers"]),
    unit("length", "dm", "0.1", &[]),
    unit("length", "cm", "0.01", &["centimetre", "centimetres", "centimeter", "centimeters"]),
    unit("length", "mm", "0.001", &["millimetre", "millimetres", "millimeter", "millimeters"]),
    unit("length", "um", "0.000001", &["µm", "micrometre", "micrometer"]),
    unit("length", "nm", "0.000000001", &["nanometre", "nanometer"]),
    unit("length", "in", "0.0254", &["inch", "inches", "\""]),
    unit("length", "ft", "0.3048", &["foot", "feet", "'"]),
    unit("length", "yd", "0.9144", &["yard", "yards"]),
    unit("length", "mi", "1609.344", &["mile", "miles"]),
    unit("length", "nmi", "1852", &["nautical mile", "nautical miles"]),
    unit("mass", "kg", "1", &["kilogram", "kilograms"]),
    unit("mass", "g", "0.001", &["gram", "grams"]),
    unit("mass", "mg", "0.000001", &["milligram", "milligrams"]),
    unit("mass", "t", "1000", &["tonne", "tonnes"]),
    unit("mass", "lb", "0.45359237", &["lbs", "pound", "pounds"]),
    unit("mass", "oz", "0.028349523125", &["ounce", "ounces"]),
    unit("mass", "st", "6.35029318", &["stone"]),
    unit("time", "s", "1", &["sec", "second", "seconds"]),
    unit("time", "ms", "0.001", &["millisecond", "milliseconds"]),
    unit("time", "us", "0.000001", &["µs", "microsecond", "microseconds"]),
    unit("time", "min", "60", &["minute", "minutes"]),
    unit("time", "h", "3600", &["hour", "hours"]),
    unit("time", "d", "86400", &["day", "days"]),
    unit("time", "wk", "604800", &["week", "weeks"]),
    unit("temperature", "K", "1", &["kelvin"]),
    Known {
        name: "C",
        others: &["°C", "celsius", "degC"],
        kind: "temperature",
        numerator: "1",
        denominator: "1",
        offset: "273.15",
    },
    Known {
        name: "F",
        others: &["°F", "fahrenheit", "degF"],
        kind: "temperature",
        numerator: "5",
        denominator: "9",
        offset: "459.67",
    },
    unit("area", "m2", "1", &["m²", "sqm", "square metre", "square metres"]),
    unit("area", "cm2", "0.0001", &["cm²"]),
    unit("area", "km2", "1000000", &["km²"]),
    unit("area", "ha", "10000", &["hectare", "hectares"]),
    unit("area", "acre", "4046.8564224", &["acres", "ac"]),
    unit("area", "ft2", "0.09290304", &["ft²", "sqft", "square foot", "square feet"]),
    unit("area", "in2", "0.00064516", &["in²", "square inch", "square inches"]),
    unit("volume", "l", "1", &["L", "litre", "litres", "liter", "liters"]),
    unit("volume", "ml", "0.001", &["mL", "millilitre", "millilitres", "milliliter", "milliliters"]),
    unit("volume", "cl", "0.01", &["cL"]),
    unit("volume", "m3", "1000", &["m³"]),
    unit("volume", "gal", "3.785411784", &["gallon", "gallons", "US gallon"]),
    unit("volume", "pt", "0.473176473", &["pint", "pints", "US pint"]),
    unit("volume", "cup", "0.2365882365", &["cups"]),
    unit("volume", "floz", "0.0295735295625", &["fl oz", "fluid ounce", "fluid ounces"]),
    unit("volume", "tbsp", "0.01478676478125", &["tablespoon", "tablespoons"]),
    unit("volume", "tsp", "0.00492892159375", &["teaspoon", "teaspoons"]),
    unit("volume", "gal-uk", "4.54609", &["UK gallon", "imperial gallon"]),
    unit("volume", "pt-uk", "0.56826125", &["UK pint", "imperial pint"]),
    unit("speed", "m/s", "1", &[]),
    Known {
        name: "km/h",
        others: &["kmh", "kph"],
        kind: "speed",
        numerator: "1",
        denominator: "3.6",
        offset: "0",
    },
    unit("speed", "mph", "0.44704", &["mi/h"]),
    Known {
        name: "kn",
        others: &["knot", "knots"],
        kind: "speed",
        numerator: "1852",
        denominator: "3600",
        offset: "0",
    },
    unit("data", "B", "1", &["byte", "bytes"]),
    unit("data", "bit", "0.125", &["bits"]),
    unit("data", "kB", "1000", &["KB"]),
    unit("data", "MB", "1000000", &[]),
    unit("data", "GB", "1000000000", &[]),
    unit("data", "TB", "1000000000000", &[]),
    unit("data", "KiB", "1024", &[]),
    unit("data", "MiB", "1048576", &[]),
    unit("data", "GiB", "1073741824", &[]),
    unit("data", "TiB", "1099511627776", &[]),
    unit("energy", "J", "1", &["joule", "joules"]),
    unit("energy", "kJ", "1000", &[]),
    unit("energy", "cal", "4.184", &[]),
    unit("energy", "kcal", "4184", &["Cal"]),
    unit("energy", "Wh", "3600", &[]),
    unit("energy", "kWh", "3600000", &[]),
    unit("power", "W", "1", &["watt", "watts"]),
    unit("power", "kW", "1000", &[]),
    unit("power", "hp", "745.69987158227022", &["horsepower"]),
    unit("pressure", "Pa", "1", &["pascal"]),
    unit("pressure", "hPa", "100", &["mbar"]),
    unit("pressure", "bar", "100000", &[]),
    unit("pressure", "atm", "101325", &[]),
    unit("pressure", "psi", "6894.757293168361", &[]),
];

/// The unit of this name: as it is spelt, or the only one that it is when capitals do not count.
pub fn find(name: &str) -> Result<&'static Known, Error> {
    let name = name.trim();
    let names = |unit: &'static Known| std::iter::once(unit.name).chain(unit.others.iter().copied());
    if let Some(unit) = ALL.iter().find(|unit| names(unit).any(|known| known == name)) {
        return Ok(unit);
    }
    let lower = name.to_lowercase();
    let mut similar = ALL.iter().filter(|unit| names(unit).any(|known| known.to_lowercase() == lower));
    match (similar.next(), similar.next()) {
        (Some(unit), None) => Ok(unit),
        (Some(one), Some(other)) => {
            let message = format!("`{name}` may be `{}` or `{}`: mind the capitals", one.name, other.name);
            Err(failure("unknown_unit", message))
        }
        (None, _) => {
            Err(failure("unknown_unit", format!("`{name}` is no unit that is known: `units` lists them")))
        }
    }
}

/// `number` of the unit `source` in the unit `target`.
pub fn convert(number: Number, source: &Known, target: &Known) -> Result<Number, Error> {
    if source.kind != target.kind {
        let message = format!(
            "`{}` is a unit of {}, `{}` one of {}",
            source.name, source.kind, target.name, target.kind
        );
        return Err(failure("different_kinds", message));
    }
    // Multiplied before it is divided, so that no digit is lost that need not be.
    let shifted = number.plus(exact(source.offset)?)?;
    let many = shifted.times(exact(source.numerator)?)?.times(exact(target.denominator)?)?;
    let share = exact(source.denominator)?.times(exact(target.numerator)?)?;
    many.over(share)?.minus(exact(target.offset)?)
}

fn exact(digits: &str) -> Result<Number, Error> {
    let value = Decimal::from_str_exact(digits);
    value.map(Number::exactly).map_err(|error| failure("too_large", format!("{digits}: {error}")))
}
