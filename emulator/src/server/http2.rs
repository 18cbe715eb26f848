//! How the emulator speaks HTTP/2, which a test may want to be otherwise.

use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};

/// The largest window that HTTP/2 has (<https://www.rfc-editor.org/rfc/rfc9113#section-6.9.1>).
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// The smallest connection window: HTTP/2 begins with it and cannot take it back.
const SMALLEST_CONNECTION_WINDOW: u32 = 65_535;

/// What the emulator tells a client when an HTTP/2 connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http2 {
    /// Streams that a client may have open at a time on one connection. Requests past it wait in the client.
    pub max_concurrent_streams: u32,
    /// What a client may send on one stream before any of it is read, in bytes.
    pub stream_window_bytes: u32,
    /// What a client may send on one connection before any of it is read, in bytes.
    pub connection_window_bytes: u32,
}

/// A setting of HTTP/2 that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} {value} must be from {least} to {most}")]
pub struct InvalidHttp2 {
    name: &'static str,
    value: u32,
    least: u32,
    most: u32,
}

impl Default for Http2 {
    /// 1,000 streams; room for a PutRecords of some size in one go, and for several at a time.
    fn default() -> Self {
        Self {
            max_concurrent_streams: 1_000,
            stream_window_bytes: 2 * 1024 * 1024,
            connection_window_bytes: 16 * 1024 * 1024,
        }
    }
}

impl Http2 {
    /// Refuses what HTTP/2 does not have.
    ///
    /// # Errors
    /// [`InvalidHttp2`] names the setting and its range.
    pub fn check(self) -> Result<Self, InvalidHttp2> {
        let within = |name, value, least, most| {
            if (least..=most).contains(&value) { Ok(()) } else { Err(InvalidHttp2 { name, value, least, most }) }
        };
        within("max_concurrent_streams", self.max_concurrent_streams, 1, u32::MAX)?;
        within("stream_window_bytes", self.stream_window_bytes, 1, LARGEST_WINDOW)?;
        within("connection_window_bytes", self.connection_window_bytes, SMALLEST_CONNECTION_WINDOW, LARGEST_WINDOW)?;
        Ok(self)
    }
}

/// The settings for connections to come. Copies share them.
#[derive(Debug, Clone)]
pub(super) struct SharedHttp2(Arc<Mutex<Http2>>);

impl SharedHttp2 {
    pub(super) fn new(settings: Http2) -> Self {
        Self(Arc::new(Mutex::new(settings)))
    }

    pub(super) fn get(&self) -> Http2 {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, settings: Http2) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = settings;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_http2_does_not_have_is_refused_by_name() {
        assert_eq!(Http2::default().check(), Ok(Http2::default()));
        let bad = [
            Http2 { max_concurrent_streams: 0, ..Http2::default() },
            Http2 { stream_window_bytes: 1 << 31, ..Http2::default() },
            Http2 { connection_window_bytes: 65_534, ..Http2::default() },
        ];
        let names = bad.map(|settings| settings.check().unwrap_err().name);
        assert_eq!(names, ["max_concurrent_streams", "stream_window_bytes", "connection_window_bytes"]);
    }
}
