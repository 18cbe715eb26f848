//! `ProcessingConfiguration`: what is done to each record before it is buffered. Of the processors, the emulator has
//! the one that appends a delimiter (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_Processor.html>).

use super::invalid;
use crate::api::ApiError;
use bytes::Bytes;
use serde::Deserialize;

const APPEND_DELIMITER: &str = "AppendDelimiterToRecord";

/// The delimiter if none is given.
const DEFAULT_DELIMITER: &str = "\\n";

/// The member of a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Processing {
    #[serde(default)]
    enabled: bool,
    processors: Option<Vec<Processor>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Processor {
    r#type: String,
    parameters: Option<Vec<Parameter>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    parameter_name: String,
    parameter_value: String,
}

impl Processing {
    /// What is appended to each record, if anything.
    ///
    /// # Errors
    /// `InvalidArgumentException` with the processor or the parameter that the emulator lacks.
    pub(super) fn delimiter(&self) -> Result<Option<Bytes>, ApiError> {
        let mut delimiter = None;
        for processor in self.processors.iter().flatten().filter(|_| self.enabled) {
            if processor.r#type != APPEND_DELIMITER {
                return Err(invalid(format!("the emulator's Firehose lacks the processor {}", processor.r#type)));
            }
            if delimiter.replace(processor.delimiter()?).is_some() {
                return Err(invalid(format!("the processor {APPEND_DELIMITER} is given twice")));
            }
        }
        Ok(delimiter)
    }
}

impl Processor {
    fn delimiter(&self) -> Result<Bytes, ApiError> {
        let mut value = DEFAULT_DELIMITER;
        for parameter in self.parameters.iter().flatten() {
            match parameter.parameter_name.as_str() {
                "Delimiter" if !parameter.parameter_value.is_empty() => value = &parameter.parameter_value,
                "Delimiter" => return Err(invalid(format!("the Delimiter of {APPEND_DELIMITER} is empty"))),
                other => return Err(invalid(format!("{APPEND_DELIMITER} has no parameter {other}, only Delimiter"))),
            }
        }
        Ok(Bytes::from(unescape(value)))
    }
}

/// `\n`, `\r`, `\t` and `\\` are given as two characters each; AWS's examples have `"\\n"` in JSON for a line feed.
fn unescape(text: &str) -> String {
    let (mut plain, mut chars) = (String::with_capacity(text.len()), text.chars().peekable());
    while let Some(c) = chars.next() {
        let escaped = chars.peek().filter(|_| c == '\\').and_then(|letter| match letter {
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            '\\' => Some('\\'),
            _ => None,
        });
        if escaped.is_some() {
            chars.next();
        }
        plain.push(escaped.unwrap_or(c));
    }
    plain
}

/// The record with `delimiter` after it, whatever it ends in already.
pub(super) fn delimited(record: Bytes, delimiter: Option<&Bytes>) -> Bytes {
    match delimiter {
        Some(delimiter) => Bytes::from([&record[..], &delimiter[..]].concat()),
        None => record,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn delimiter(request: Value) -> Result<Option<Bytes>, ApiError> {
        serde_json::from_value::<Processing>(request).expect("a request").delimiter()
    }

    fn with(parameters: Value) -> Result<Option<Bytes>, ApiError> {
        delimiter(json!({ "Enabled": true, "Processors": [{ "Type": APPEND_DELIMITER, "Parameters": parameters }] }))
    }

    #[test]
    fn a_delimiter_is_a_line_feed_unless_given() {
        assert_eq!(with(Value::Null).expect("a delimiter"), Some(Bytes::from_static(b"\n")));
        assert_eq!(with(json!([])).expect("a delimiter"), Some(Bytes::from_static(b"\n")));
        for (value, expected) in
            [("\\n", "\n"), ("\n", "\n"), ("\\r\\n", "\r\n"), ("||", "||"), ("\\t\\\\n\\q\\", "\t\\n\\q\\")]
        {
            let given = with(json!([{ "ParameterName": "Delimiter", "ParameterValue": value }]));
            assert_eq!(given.expect("a delimiter"), Some(Bytes::from(expected)), "{value:?}");
        }
    }

    #[test]
    fn what_is_switched_off_or_empty_does_nothing() {
        assert_eq!(delimiter(json!({ "Enabled": false, "Processors": [{ "Type": "Lambda" }] })).expect("off"), None);
        assert_eq!(delimiter(json!({ "Enabled": true })).expect("no processors"), None);
        assert_eq!(delimiter(json!({ "Processors": [{ "Type": APPEND_DELIMITER }] })).expect("off"), None);
    }

    #[test]
    fn what_the_emulator_lacks_is_named() {
        let lambda = delimiter(json!({ "Enabled": true, "Processors": [{ "Type": "Lambda" }] }));
        assert!(lambda.expect_err("no Lambda").message.contains("the processor Lambda"));
        let processor = json!({ "Type": APPEND_DELIMITER });
        let twice = delimiter(json!({ "Enabled": true, "Processors": [processor, processor] }));
        assert!(twice.expect_err("two").message.contains("twice"));
        let other = with(json!([{ "ParameterName": "LambdaArn", "ParameterValue": "x" }]));
        assert!(other.expect_err("a parameter").message.contains("LambdaArn"));
        with(json!([{ "ParameterName": "Delimiter", "ParameterValue": "" }])).expect_err("an empty delimiter");
    }

    #[test]
    fn a_delimiter_is_appended_to_what_ends_in_one_already() {
        let line_feed = Bytes::from_static(b"\n");
        assert_eq!(delimited(Bytes::from_static(b"one\n"), Some(&line_feed)), "one\n\n");
        assert_eq!(delimited(Bytes::new(), Some(&line_feed)), "\n");
        assert_eq!(delimited(Bytes::from_static(b"one"), None), "one");
    }
}
