//! `Prefix` and `ErrorOutputPrefix`: text with expressions of the form `!{namespace:value}`, and AWS's rules for them
//! (<https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html>).

use super::invalid;
use super::pattern::Pattern;
use crate::api::ApiError;
use jiff::civil::DateTime;

/// What follows a prefix that has no timestamp of its own.
const DEFAULT_TIMESTAMP: &str = "yyyy/MM/dd/HH/";

/// Characters of `!{firehose:random-string}`.
const RANDOM_CHARS: usize = 11;

/// Characters of a prefix as it is given
/// (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_ExtendedS3DestinationConfiguration.html>).
const MAX_CHARS: usize = 1024;

/// A `Prefix`, ready to be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prefix(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Timestamp(Pattern),
    RandomString,
    ErrorOutputType,
}

enum Segment<'a> {
    Literal(&'a str),
    Expression { namespace: &'a str, value: &'a str },
}

impl Prefix {
    /// Reads a `Prefix` that `error_prefix` stands beside. One without a timestamp gets the hour's path after it.
    ///
    /// # Errors
    /// `InvalidArgumentException` with the expression that is wrong, or that the emulator lacks.
    pub(super) fn check(prefix: &str, error_prefix: Option<&str>) -> Result<Self, ApiError> {
        let mut parts = Vec::new();
        for segment in segments("Prefix", prefix)? {
            parts.push(match segment {
                Segment::Literal(text) => Part::Literal(text.to_owned()),
                Segment::Expression { namespace: "timestamp", value } => Part::Timestamp(timestamp("Prefix", value)?),
                Segment::Expression { namespace: "firehose", value: "random-string" } => Part::RandomString,
                Segment::Expression { namespace: "firehose", value: "error-output-type" } => {
                    return Err(invalid("Prefix cannot contain !{firehose:error-output-type}; ErrorOutputPrefix can"));
                }
                Segment::Expression { namespace, value } => return Err(unknown("Prefix", namespace, value)),
            });
        }
        let has_expressions = parts.iter().any(|part| !matches!(part, Part::Literal(_)));
        if has_expressions && error_prefix.is_none_or(str::is_empty) {
            return Err(invalid("ErrorOutputPrefix must be given when Prefix contains expressions"));
        }
        if !parts.iter().any(|part| matches!(part, Part::Timestamp(_))) {
            parts.push(Part::Timestamp(timestamp("Prefix", DEFAULT_TIMESTAMP)?));
        }
        Ok(Self(parts))
    }

    /// The prefix of an object whose oldest record arrived at `oldest`. Each random string is a new one from `rng`.
    pub(super) fn evaluate(&self, oldest: DateTime, rng: &mut fastrand::Rng) -> String {
        evaluate(&self.0, oldest, "", rng)
    }
}

/// An `ErrorOutputPrefix`, ready to be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ErrorPrefix(Vec<Part>);

impl ErrorPrefix {
    /// Reads an `ErrorOutputPrefix` that stands beside the checked `prefix`. One without expressions, and `prefix` where
    /// none is given, gets the error output type and the hour's path after it.
    ///
    /// # Errors
    /// As [`Prefix::check`], and if there are expressions without `!{firehose:error-output-type}` among them.
    pub(super) fn check(error_prefix: Option<&str>, prefix: &str) -> Result<Self, ApiError> {
        const MEMBER: &str = "ErrorOutputPrefix";
        let (mut parts, mut expressions) = (Vec::new(), false);
        for segment in segments(MEMBER, error_prefix.filter(|given| !given.is_empty()).unwrap_or(prefix))? {
            let part = match segment {
                Segment::Literal(text) => Part::Literal(text.to_owned()),
                Segment::Expression { namespace: "timestamp", value } => Part::Timestamp(timestamp(MEMBER, value)?),
                Segment::Expression { namespace: "firehose", value: "random-string" } => Part::RandomString,
                Segment::Expression { namespace: "firehose", value: "error-output-type" } => Part::ErrorOutputType,
                Segment::Expression { namespace, value } => return Err(unknown(MEMBER, namespace, value)),
            };
            expressions |= !matches!(part, Part::Literal(_));
            parts.push(part);
        }
        if !expressions {
            let after = Part::Literal("/".to_owned());
            parts.extend([Part::ErrorOutputType, after, Part::Timestamp(timestamp(MEMBER, DEFAULT_TIMESTAMP)?)]);
        } else if !parts.contains(&Part::ErrorOutputType) {
            return Err(invalid(
                "ErrorOutputPrefix has expressions, and must have !{firehose:error-output-type} among them",
            ));
        }
        Ok(Self(parts))
    }

    /// As [`Prefix::evaluate`], for records that failed as `error_output_type` says.
    pub(super) fn evaluate(&self, oldest: DateTime, error_output_type: &str, rng: &mut fastrand::Rng) -> String {
        evaluate(&self.0, oldest, error_output_type, rng)
    }
}

fn evaluate(parts: &[Part], oldest: DateTime, error_output_type: &str, rng: &mut fastrand::Rng) -> String {
    let text = |part: &Part| match part {
        Part::Literal(text) => text.clone(),
        Part::Timestamp(pattern) => pattern.format(oldest),
        Part::RandomString => (0..RANDOM_CHARS).map(|_| rng.alphanumeric()).collect(),
        Part::ErrorOutputType => error_output_type.to_owned(),
    };
    parts.iter().map(text).collect()
}

fn segments<'a>(member: &str, text: &'a str) -> Result<Vec<Segment<'a>>, ApiError> {
    if text.chars().count() > MAX_CHARS {
        return Err(invalid(format!("{member} must have at most {MAX_CHARS} characters")));
    }
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once("!{") {
        let expression = after.split_once('}').and_then(|(inner, after)| Some((inner.split_once(':')?, after)));
        let Some(((namespace, value), after)) = expression else {
            return Err(invalid(format!("{member} has !{{ that does not begin an expression !{{namespace:value}}")));
        };
        found.extend([Segment::Literal(before), Segment::Expression { namespace, value }]);
        rest = after;
    }
    found.push(Segment::Literal(rest));
    Ok(found)
}

fn timestamp(member: &str, pattern: &str) -> Result<Pattern, ApiError> {
    Pattern::parse(pattern).map_err(|error| invalid(format!("{member}, !{{timestamp:{pattern}}}: {error}")))
}

fn unknown(member: &str, namespace: &str, value: &str) -> ApiError {
    let expression = format!("!{{{namespace}:{value}}}");
    match namespace {
        "partitionKeyFromQuery" | "partitionKeyFromLambda" => {
            invalid(format!("the emulator's Firehose lacks {expression} in {member}: there is no dynamic partitioning"))
        }
        _ => invalid(format!(
            "{member} has the unknown expression {expression}: known are timestamp:PATTERN, firehose:random-string and, in ErrorOutputPrefix, firehose:error-output-type"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::datetime;

    const ERRORS: Option<&str> = Some("errors/!{firehose:error-output-type}/");

    fn evaluated(prefix: &str) -> String {
        let prefix = Prefix::check(prefix, ERRORS).unwrap_or_else(|error| panic!("{prefix}: {error}"));
        prefix.evaluate(datetime(2026, 11, 23, 5, 6, 7, 0), &mut fastrand::Rng::with_seed(7))
    }

    #[test]
    fn prefixes_are_evaluated_as_aws_documents_them() {
        for (prefix, expected) in [
            ("", "2026/11/23/05/"),
            ("raw/", "raw/2026/11/23/05/"),
            ("raw", "raw2026/11/23/05/"),
            ("raw/!{timestamp:yyyy/MM/dd}/", "raw/2026/11/23/"),
            ("year=!{timestamp:yyyy}/hour=!{timestamp:HH}/", "year=2026/hour=05/"),
            ("!{timestamp:'year='yyyy'/month='MM/}", "year=2026/month=11/"),
            ("a!b{c}/!{timestamp:y}", "a!b{c}/2026"),
        ] {
            assert_eq!(evaluated(prefix), expected, "{prefix}");
        }
    }

    #[test]
    fn random_strings_are_new_each_time_and_are_no_timestamp() {
        let prefix = evaluated("!{firehose:random-string}/!{firehose:random-string}/");
        let parts: Vec<_> = prefix.splitn(3, '/').collect();
        let [first, second, rest] = parts[..] else { panic!("{prefix}") };
        assert_eq!(rest, "2026/11/23/05/");
        assert_ne!(first, second);
        for random in [first, second] {
            assert_eq!(random.len(), 11);
            assert!(random.chars().all(|c| c.is_ascii_alphanumeric()), "{random}");
        }
    }

    #[test]
    fn a_prefix_that_breaks_a_rule_is_refused_with_the_rule() {
        for (prefix, error_prefix, expected) in [
            ("!{timestamp:yyyy}/", None, "ErrorOutputPrefix must be given"),
            ("!{firehose:random-string}/", Some(""), "ErrorOutputPrefix must be given"),
            ("!{firehose:error-output-type}/", ERRORS, "Prefix cannot contain !{firehose:error-output-type}"),
            ("!{timestamp:YYYY}/", ERRORS, "Prefix, !{timestamp:YYYY}: the emulator lacks Y"),
            ("!{partitionKeyFromQuery:customer}/", ERRORS, "lacks !{partitionKeyFromQuery:customer} in Prefix"),
            ("!{s3:bucket}/", ERRORS, "unknown expression !{s3:bucket}"),
            ("!{firehose:uuid}/", ERRORS, "unknown expression !{firehose:uuid}"),
            ("!{timestamp:yyyy", ERRORS, "!{ that does not begin an expression"),
            ("!{timestamp}", ERRORS, "!{ that does not begin an expression"),
            (&"x".repeat(1025), None, "at most 1024 characters"),
        ] {
            let error = Prefix::check(prefix, error_prefix).expect_err(prefix);
            assert!(error.message.contains(expected), "{error}");
            assert_eq!(error.code, "InvalidArgumentException");
        }
    }

    #[test]
    fn error_prefixes_are_evaluated_with_the_type() {
        for (error_prefix, expected) in [
            (None, "raw/processing-failed/2026/11/23/05/"),
            (Some(""), "raw/processing-failed/2026/11/23/05/"),
            (Some("errors/"), "errors/processing-failed/2026/11/23/05/"),
            (Some("errors/!{firehose:error-output-type}/"), "errors/processing-failed/"),
            (Some("!{timestamp:yyyy}/!{firehose:error-output-type}/!{timestamp:dd}"), "2026/processing-failed/23"),
        ] {
            let prefix = ErrorPrefix::check(error_prefix, "raw/").unwrap_or_else(|error| panic!("{error}"));
            let at = datetime(2026, 11, 23, 5, 6, 7, 0);
            let evaluated = prefix.evaluate(at, "processing-failed", &mut fastrand::Rng::with_seed(7));
            assert_eq!(evaluated, expected, "{error_prefix:?}");
        }
    }

    #[test]
    fn an_error_prefix_with_expressions_needs_the_type() {
        for (error_prefix, expected) in [
            ("errors/!{timestamp:yyyy}/", "must have !{firehose:error-output-type}"),
            ("!{firehose:error-output-type}/!{timestamp:n}", "the letter n "),
            ("!{firehose:error-output-type}/!{partitionKeyFromQuery:a}", "lacks !{partitionKeyFromQuery:a}"),
        ] {
            let error = ErrorPrefix::check(Some(error_prefix), "").expect_err(error_prefix);
            assert!(error.message.contains(expected), "{error}");
        }
    }
}
