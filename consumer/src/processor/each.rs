//! A closure for each record, as a processor.

use super::{ProcessError, Processor, Records};
use crate::feed::Record;

/// Calls an asynchronous closure for one record after the other. What comes before a record that fails stays done.
#[derive(Debug, Clone)]
pub struct EachRecord<F>(F);

impl<F, Fut> EachRecord<F>
where
    F: FnMut(Record) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), ProcessError>> + Send,
{
    /// A processor that calls `each`. Cloning a record copies no payload.
    pub fn new(each: F) -> Self {
        Self(each)
    }
}

impl<F, Fut> Processor for EachRecord<F>
where
    F: FnMut(Record) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), ProcessError>> + Send,
{
    async fn process(&mut self, records: Records<'_>) -> Result<(), ProcessError> {
        for (place, record) in records.into_iter().enumerate() {
            (self.0)(record.clone()).await.map_err(|error| error.after(place))?;
        }
        Ok(())
    }
}
