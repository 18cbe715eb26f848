//! Brings a unit's objects from the store, in order, several ranges at once.

use crate::error::Error;
use crate::store::{Object, Store};
use bytes::Bytes;
use futures_util::StreamExt as _;
use std::ops::Range;
use tokio::sync::mpsc;

/// The next bytes of an object.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    /// The object ends here, and the next piece is the next object's.
    pub(super) last: bool,
}

/// Sends all bytes of `objects` to `pieces`. At most `ahead` ranges are asked for before they are taken.
///
/// Ends early, and well, when the receiver is gone.
///
/// # Errors
/// [`Error::Changed`] where an object is no longer the one that was listed.
pub(super) async fn feed(
    store: Store,
    objects: Vec<Object>,
    ahead: usize,
    pieces: mpsc::Sender<Piece>,
) -> Result<(), Error> {
    let step = store.range_bytes();
    let gets = objects.into_iter().flat_map(move |object| {
        let store = store.clone();
        let bytes = object.bytes;
        ranges(bytes, step).map(move |range| get(store.clone(), object.clone(), range))
    });
    let got = futures_util::stream::iter(gets).buffered(ahead.max(1));
    let mut got = std::pin::pin!(got);
    // Where the listing gave no ETag, all ranges of an object must agree on one.
    let mut first_etag: Option<String> = None;
    while let Some(piece) = got.next().await {
        let (object, piece, etag) = piece?;
        if first_etag.as_ref().zip(etag.as_ref()).is_some_and(|(first, etag)| first != etag) {
            return Err(Error::Changed { object: object.uri });
        }
        first_etag = if piece.last { None } else { first_etag.or(etag) };
        if pieces.send(piece).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn get(store: Store, object: Object, range: Range<u64>) -> Result<(Object, Piece, Option<String>), Error> {
    let last = range.end >= object.bytes;
    let (bytes, etag) = if range.is_empty() { (Bytes::new(), None) } else { store.range(&object, range).await? };
    Ok((object, Piece { bytes, last }, etag))
}

/// The ranges of an object of this size; of an empty one, an empty range.
fn ranges(bytes: u64, step: u64) -> impl Iterator<Item = Range<u64>> {
    let mut at = Some(0);
    std::iter::from_fn(move || {
        let start = at?;
        let end = bytes.min(start + step);
        at = (end < bytes).then_some(end);
        Some(start..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_an_object_once() {
        let all = |bytes| ranges(bytes, 4).map(|range| (range.start, range.end)).collect::<Vec<_>>();
        assert_eq!(all(0), [(0, 0)]);
        assert_eq!(all(4), [(0, 4)]);
        assert_eq!(all(9), [(0, 4), (4, 8), (8, 9)]);
    }
}
