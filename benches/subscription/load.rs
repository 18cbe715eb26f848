//! The records that are read.

use alluvial_benches::{Connection, Result};
use base64_simd::STANDARD;

/// Bytes of one PutRecords request, before base64.
const REQUEST_BYTES: usize = 1 << 20;
/// The most records of one PutRecords request.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html>.
const REQUEST_RECORDS: usize = 500;

/// Records of one size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) record_bytes: usize,
    pub(crate) records: usize,
}

impl Load {
    pub(crate) fn payload_megabytes(self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
        let bytes = (self.record_bytes * self.records) as f64;
        bytes / 1e6
    }

    /// Puts all records, with random data and keys.
    pub(crate) async fn put(self, connection: &mut Connection) -> Result<()> {
        let mut random = fastrand::Rng::with_seed(7);
        let mut data = vec![0; self.record_bytes];
        let mut left = self.records;
        while left > 0 {
            let count = left.min(REQUEST_RECORDS).min(REQUEST_BYTES.div_ceil(self.record_bytes));
            let records: Vec<_> = (0..count)
                .map(|_| {
                    random.fill(&mut data);
                    let data = STANDARD.encode_to_string(&data);
                    format!(r#"{{"PartitionKey":"device-{}","Data":"{data}"}}"#, random.u32(..100_000))
                })
                .collect();
            let request = format!(r#"{{"StreamName":"bench","Records":[{}]}}"#, records.join(","));
            connection.bytes("PutRecords", request.into()).await?;
            left -= count;
        }
        Ok(())
    }
}
