//! Records from a template: the syntax of the Kinesis Data Generator, compiled once and written many times.
//!
//! A template is text with tokens such as `{{random.number(50)}}`. As in the Kinesis Data Generator, line breaks
//! outside of tokens are dropped, so that a record is one line, and values are written as they are, without
//! quotes of their own. Unlike there, an unknown token is an error at the start and never `undefined` in the data.

mod decimal;
mod moment;
mod op;
mod parse;
mod token;

use crate::nearest::nearest;
use bytes::BytesMut;
use fastrand::Rng;
use moment::Instantaneous;
use op::{Op, Writer};
use std::path::Path;
use std::time::SystemTime;

const BUILTINS: [(&str, &str); 2] =
    [("iot", include_str!("../templates/iot.txt")), ("sensor-batch", include_str!("../templates/sensor-batch.txt"))];

/// A compiled template. Rendering cannot fail and, but for the buffer's growth, allocates nothing.
#[derive(Debug, Clone)]
pub struct Template {
    ops: Box<[Op]>,
}

/// What one record is made from. The same values give the same record.
#[derive(Debug)]
pub struct Context<'a> {
    /// Source of the random tokens; it moves on with each record.
    pub random: &'a mut Rng,
    /// What `{{sequence}}` writes: the number of the record, from 0.
    pub number: u64,
    /// What the date tokens write, in UTC.
    pub now: SystemTime,
}

/// Why a template was refused: what, where in it, and what was probably meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}{message}")]
pub struct TemplateError {
    origin: String,
    message: String,
}

impl TemplateError {
    fn new(message: impl Into<String>) -> Self {
        Self { origin: String::new(), message: message.into() }
    }

    fn in_file(self, origin: &str) -> Self {
        Self { origin: format!("template {origin}: "), ..self }
    }
}

impl Template {
    /// Compiles a template.
    ///
    /// # Errors
    /// [`TemplateError`] with line and column of the first token that is unknown, unclosed or has wrong
    /// arguments; an unknown one is answered with the nearest known name.
    pub fn compile(text: &str) -> Result<Self, TemplateError> {
        let ops = parse::parse(text)?;
        Ok(Self { ops: ops.into_boxed_slice() })
    }

    /// A template that is part of the program: `iot`, a sensor reading of about 150 bytes with a unique `eventId`
    /// and its time in `ts`; or `sensor-batch`, a message of about 900 KB with four lists of 2,200 samples.
    ///
    /// # Errors
    /// [`TemplateError`] that names the nearest of them.
    pub fn builtin(name: &str) -> Result<Self, TemplateError> {
        match BUILTINS.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Self::compile(text),
            None => {
                let known = || BUILTINS.iter().map(|(name, _)| *name);
                let meant = nearest(name, known()).unwrap_or_default();
                let all = known().collect::<Vec<_>>().join(", builtin:");
                Err(TemplateError::new(format!(
                    "no built-in template `{name}`; did you mean builtin:{meant}? (there are builtin:{all})"
                )))
            }
        }
    }

    /// The template that an option names: `builtin:NAME`, or a file.
    ///
    /// # Errors
    /// [`TemplateError`] when the file cannot be read or compiled, or there is no such built-in.
    pub fn load(name: &str) -> Result<Self, TemplateError> {
        if let Some(builtin) = name.strip_prefix("builtin:") {
            return Self::builtin(builtin);
        }
        let text = std::fs::read_to_string(Path::new(name)).map_err(|error| {
            let hint = BUILTINS.iter().find(|(known, _)| *known == name);
            let hint = hint.map(|(known, _)| format!("; did you mean builtin:{known}?")).unwrap_or_default();
            TemplateError::new(format!("cannot read the template {name}: {error}{hint}"))
        })?;
        Self::compile(&text).map_err(|error| error.in_file(name))
    }

    /// Appends one record to `out`.
    pub fn render(&self, context: &mut Context<'_>, out: &mut BytesMut) {
        let mut writer =
            Writer { random: context.random, number: context.number, time: Instantaneous::new(context.now), out };
        writer.all(&self.ops);
    }
}

#[cfg(test)]
mod tests;
