//! `ProcessingConfiguration`: what is done to each record before it is buffered
//! (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_Processor.html>). The emulator has the processors for
//! CloudWatch Logs (<https://docs.aws.amazon.com/firehose/latest/dev/writing-with-cloudwatch-logs-decompression.html>) and
//! the one that appends a delimiter.

mod logs;

use super::invalid;
use super::lane::Stage;
use crate::api::ApiError;
use bytes::Bytes;
use serde::Deserialize;
use std::collections::BTreeSet;

const DECOMPRESSION: &str = "Decompression";
const LOG_PROCESSING: &str = "CloudWatchLogProcessing";
const APPEND_DELIMITER: &str = "AppendDelimiterToRecord";

/// The delimiter if none is given.
const DEFAULT_DELIMITER: &str = "\\n";

/// What is done to each record, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pipeline {
    /// Whether it is a gzip member, or some one after the other, that is decompressed.
    pub(super) decompress: bool,
    /// Whether it is an envelope of CloudWatch Logs that the messages are taken from.
    pub(super) extract: bool,
    /// What is appended to what became of it.
    pub(super) delimiter: Option<Bytes>,
}

/// Why a record could not be processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) stage: Stage,
    /// For programs.
    pub(super) code: &'static str,
    /// For a person.
    pub(super) message: String,
}

impl Pipeline {
    /// What becomes of `record`: mostly one record, none of an envelope without messages.
    ///
    /// # Errors
    /// [`Failed`]; the record then goes to the error prefix as it arrived.
    pub(super) fn apply(&self, record: Bytes) -> Result<Vec<Bytes>, Failed> {
        let record = if self.decompress { logs::decompress(&record)? } else { record };
        let records = if self.extract { logs::messages(&record)? } else { vec![record] };
        Ok(records.into_iter().map(|record| delimited(record, self.delimiter.as_ref())).collect())
    }
}

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
    /// The processors, checked.
    ///
    /// # Errors
    /// `InvalidArgumentException` with the processor or the parameter that is wrong, or that the emulator lacks.
    pub(super) fn pipeline(&self) -> Result<Pipeline, ApiError> {
        let (mut pipeline, mut seen) = (Pipeline::default(), BTreeSet::new());
        for processor in self.processors.iter().flatten().filter(|_| self.enabled) {
            match processor.r#type.as_str() {
                DECOMPRESSION => pipeline.decompress = processor.says("CompressionFormat", "GZIP", true)?,
                LOG_PROCESSING => pipeline.extract = processor.says("DataMessageExtraction", "true", false)?,
                APPEND_DELIMITER => pipeline.delimiter = Some(processor.delimiter()?),
                "RecordDeAggregation" => {
                    return Err(invalid(
                        "RecordDeAggregation needs dynamic partitioning, which the emulator's Firehose lacks",
                    ));
                }
                other => return Err(invalid(format!("the emulator's Firehose lacks the processor {other}"))),
            }
            if !seen.insert(processor.r#type.as_str()) {
                return Err(invalid(format!("the processor {} is given twice", processor.r#type)));
            }
        }
        if pipeline.extract && !pipeline.decompress {
            return Err(invalid(format!("the processor {LOG_PROCESSING} needs {DECOMPRESSION} before it")));
        }
        Ok(pipeline)
    }
}

impl Processor {
    /// Whether the one parameter that there is says `known`; `default` if it is not given.
    fn says(&self, name: &str, known: &str, default: bool) -> Result<bool, ApiError> {
        let mut says = default;
        for parameter in self.parameters.iter().flatten() {
            if parameter.parameter_name != name {
                let (kind, given) = (&self.r#type, &parameter.parameter_name);
                return Err(invalid(format!("{kind} has no parameter {given}, only {name}")));
            }
            if !parameter.parameter_value.eq_ignore_ascii_case(known) {
                let (kind, given) = (&self.r#type, &parameter.parameter_value);
                return Err(invalid(format!("the {name} of {kind} must be {known}, and is {given:?}")));
            }
            says = true;
        }
        if says { Ok(true) } else { Err(invalid(format!("{} needs the parameter {name}: {known}", self.r#type))) }
    }

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
fn delimited(record: Bytes, delimiter: Option<&Bytes>) -> Bytes {
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
        serde_json::from_value::<Processing>(request).expect("a request").pipeline().map(|pipeline| pipeline.delimiter)
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

    fn pipeline(processors: Value) -> Result<Pipeline, ApiError> {
        let processing = json!({ "Enabled": true, "Processors": processors });
        serde_json::from_value::<Processing>(processing).expect("a request").pipeline()
    }

    fn extraction(value: &str) -> Value {
        let parameters = json!([{ "ParameterName": "DataMessageExtraction", "ParameterValue": value }]);
        json!({ "Type": LOG_PROCESSING, "Parameters": parameters })
    }

    #[test]
    fn logs_are_decompressed_and_then_their_messages_taken() {
        let format = |format: &str| json!([{ "ParameterName": "CompressionFormat", "ParameterValue": format }]);
        for decompression in
            [json!({ "Type": DECOMPRESSION }), json!({ "Type": DECOMPRESSION, "Parameters": format("GZIP") })]
        {
            let both = pipeline(json!([decompression, extraction("true")])).expect("two processors");
            assert_eq!(both, Pipeline { decompress: true, extract: true, delimiter: None });
        }
        for (processors, expected) in [
            (json!([extraction("true")]), "needs Decompression"),
            (json!([{ "Type": DECOMPRESSION }, extraction("false")]), "must be true"),
            (json!([{ "Type": DECOMPRESSION }, { "Type": LOG_PROCESSING }]), "needs the parameter"),
            (json!([{ "Type": DECOMPRESSION, "Parameters": format("ZIP") }]), "must be GZIP"),
            (json!([{ "Type": "RecordDeAggregation" }]), "needs dynamic partitioning"),
        ] {
            let error = pipeline(processors).expect_err(expected);
            assert!(error.message.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_delimiter_is_appended_to_what_ends_in_one_already() {
        let line_feed = Bytes::from_static(b"\n");
        assert_eq!(delimited(Bytes::from_static(b"one\n"), Some(&line_feed)), "one\n\n");
        assert_eq!(delimited(Bytes::new(), Some(&line_feed)), "\n");
        assert_eq!(delimited(Bytes::from_static(b"one"), None), "one");
    }
}
