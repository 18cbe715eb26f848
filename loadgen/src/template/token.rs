//! The tokens: their names, their arguments, and what they compile to.
//!
//! Names and defaults follow the Kinesis Data Generator, which hands them to faker.js 4:
//! <https://awslabs.github.io/amazon-kinesis-data-generator/web/help.html>. `sequence`, `repeat` and `end` are ours.

use super::decimal::Decimal;
use super::moment;
use super::op::Op;
use crate::nearest::nearest;
use serde_json::{Map, Value};

/// The largest value of a number token without a maximum, as in faker.js.
const DEFAULT_MAX: f64 = 99_999.0;
const MAX_TEXT: usize = 1 << 20;

/// What a token compiles to.
pub(crate) enum Built {
    Op(Op),
    Repeat(usize),
    End,
}

#[derive(Debug, Clone, Copy)]
enum Token {
    Number,
    Float,
    Choice,
    Weighted,
    Uuid,
    Boolean,
    AlphaNumeric,
    Date,
    DateMillis,
    Ipv4,
    Sequence,
    Repeat,
    End,
}

const TOKENS: [(&str, Token); 24] = [
    ("random.number", Token::Number),
    ("random.float", Token::Float),
    ("random.arrayElement", Token::Choice),
    ("random.weightedArrayElement", Token::Weighted),
    ("random.uuid", Token::Uuid),
    ("random.boolean", Token::Boolean),
    ("random.alphaNumeric", Token::AlphaNumeric),
    ("datatype.number", Token::Number),
    ("datatype.float", Token::Float),
    ("datatype.uuid", Token::Uuid),
    ("datatype.boolean", Token::Boolean),
    ("helpers.arrayElement", Token::Choice),
    ("date.now", Token::Date),
    ("date.utc", Token::Date),
    ("date.now.millis", Token::DateMillis),
    ("date.utc.millis", Token::DateMillis),
    ("date.millis", Token::DateMillis),
    ("current.timestamp", Token::Date),
    ("internet.ip", Token::Ipv4),
    ("internet.ipv4", Token::Ipv4),
    ("sequence", Token::Sequence),
    ("record.number", Token::Sequence),
    ("repeat", Token::Repeat),
    ("end", Token::End),
];

/// Compiles the inside of `{{…}}`.
///
/// # Errors
/// Names the token and what is wrong with it; for an unknown name, the nearest known one.
pub(crate) fn build(source: &str) -> Result<Built, String> {
    let source = source.trim();
    let (name, arguments) = match source.split_once('(') {
        Some((name, rest)) => {
            let inside = rest.strip_suffix(')').ok_or_else(|| format!("`{source}` lacks its closing parenthesis"))?;
            (name.trim(), inside.trim())
        }
        None => (source, ""),
    };
    let Some((_, token)) = TOKENS.iter().find(|(known, _)| *known == name) else {
        let meant = nearest(name, TOKENS.iter().map(|(known, _)| *known)).unwrap_or_default();
        return Err(format!("unknown token `{name}`; did you mean `{meant}`?"));
    };
    let arguments = read_arguments(arguments).map_err(|error| format!("{name}: {error}"))?;
    if let Some(extra) = arguments.get(1) {
        return Err(format!("{name}: takes one argument at most, and `{extra}` is a second one"));
    }
    compile(*token, arguments.first()).map_err(|error| format!("{name}: {error}"))
}

/// JSON values with commas between; or, as faker.js has it, plain text that counts as one string.
fn read_arguments(text: &str) -> Result<Vec<Value>, String> {
    serde_json::from_str(&format!("[{text}]")).or_else(|error| {
        let json = text.starts_with(['{', '[', '"']);
        if json { Err(format!("`{text}` is not JSON: {error}")) } else { Ok(vec![Value::String(text.to_owned())]) }
    })
}

fn compile(token: Token, argument: Option<&Value>) -> Result<Built, String> {
    let op = match token {
        Token::Number => Op::Decimal(number(argument)?),
        Token::Float => Op::Decimal(float(argument)?),
        Token::Choice => Op::Choice(choice(argument)?),
        Token::Weighted => Op::Weighted(weighted(argument)?),
        Token::AlphaNumeric => Op::AlphaNumeric(size(argument, 1)?),
        Token::Date => Op::Date(date(argument)?),
        Token::Repeat => return size(argument.or(Some(&Value::Null)), 0).map(Built::Repeat),
        Token::Uuid => without(argument, Op::Uuid)?,
        Token::Boolean => without(argument, Op::Boolean)?,
        Token::DateMillis => without(argument, Op::Date(moment::compile("x")?.into()))?,
        Token::Ipv4 => without(argument, Op::Ipv4)?,
        Token::Sequence => without(argument, Op::Sequence)?,
        Token::End => return without(argument, Built::End),
    };
    Ok(Built::Op(op))
}

fn without<T>(argument: Option<&Value>, built: T) -> Result<T, String> {
    match argument {
        None => Ok(built),
        Some(value) => Err(format!("takes no argument, not `{value}`")),
    }
}

/// `(max)` or `({"min", "max", "precision"})`.
fn number(argument: Option<&Value>) -> Result<Decimal, String> {
    match argument {
        None => Decimal::new(0.0, DEFAULT_MAX, 1.0),
        Some(Value::Number(max)) => Decimal::new(0.0, max.as_f64().unwrap_or(DEFAULT_MAX), 1.0),
        Some(Value::Object(options)) => range(options, 1.0),
        Some(other) => Err(format!("expected a number or {{\"min\":…,\"max\":…}}, not `{other}`")),
    }
}

/// `(precision)` or `({"min", "max", "precision"})`.
fn float(argument: Option<&Value>) -> Result<Decimal, String> {
    match argument {
        None => Decimal::new(0.0, DEFAULT_MAX, 0.01),
        Some(Value::Number(precision)) => Decimal::new(0.0, DEFAULT_MAX, precision.as_f64().unwrap_or(0.01)),
        Some(Value::Object(options)) => range(options, 0.01),
        Some(other) => Err(format!("expected a precision or {{\"min\":…,\"max\":…}}, not `{other}`")),
    }
}

fn range(options: &Map<String, Value>, precision: f64) -> Result<Decimal, String> {
    let known = ["min", "max", "precision"];
    if let Some(unknown) = options.keys().find(|key| !known.contains(&key.as_str())) {
        let meant = nearest(unknown, known).unwrap_or_default();
        return Err(format!("unknown option `{unknown}`; did you mean `{meant}`?"));
    }
    let read = |name: &str, default: f64| match options.get(name) {
        None => Ok(default),
        Some(value) => value.as_f64().ok_or_else(|| format!("`{name}` must be a number, not `{value}`")),
    };
    Decimal::new(read("min", 0.0)?, read("max", DEFAULT_MAX)?, read("precision", precision)?)
}

fn choice(argument: Option<&Value>) -> Result<Box<[String]>, String> {
    match argument {
        Some(Value::Array(values)) if !values.is_empty() => Ok(values.iter().map(plain).collect()),
        _ => Err("expected a list with at least one value, such as [\"OK\",\"FAIL\"]".to_owned()),
    }
}

fn weighted(argument: Option<&Value>) -> Result<Box<[(f64, String)]>, String> {
    let wrong = || "expected {\"weights\":[3,1],\"data\":[\"OK\",\"FAIL\"]}, as many weights as data".to_owned();
    let options = argument.and_then(Value::as_object).ok_or_else(wrong)?;
    let list = |name: &str| options.get(name).and_then(Value::as_array).ok_or_else(wrong);
    let (weights, data) = (list("weights")?, list("data")?);
    if weights.len() != data.len() {
        return Err(wrong());
    }
    let mut sum = 0.0;
    let mut table = Vec::with_capacity(data.len());
    for (weight, value) in weights.iter().zip(data) {
        let weight = weight.as_f64().filter(|weight| *weight >= 0.0);
        sum += weight.ok_or_else(|| "a weight must be a number of 0 or more".to_owned())?;
        table.push((sum, plain(value)));
    }
    if sum > 0.0 { Ok(table.into()) } else { Err("at least one weight must be above 0".to_owned()) }
}

/// A string as it is, anything else as JSON: the template brings its own quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn date(argument: Option<&Value>) -> Result<Box<[moment::Piece]>, String> {
    match argument {
        None => moment::compile(moment::ISO_MILLIS).map(Into::into),
        Some(Value::String(format)) => moment::compile(format).map(Into::into),
        Some(other) => Err(format!("expected a format such as \"YYYY-MM-DD HH:mm:ss\", not `{other}`")),
    }
}

fn size(argument: Option<&Value>, default: usize) -> Result<usize, String> {
    let Some(value) = argument else { return Ok(default) };
    let size = value.as_u64().and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= MAX_TEXT);
    size.ok_or_else(|| format!("expected a whole number up to {MAX_TEXT}"))
}
