//! Response bodies in pieces that are worth a frame.
//!
//! `s3s-fs` reads files 4 KiB at a time, and goes on with empty pieces between the end of a body and that of its file. Each
//! becomes a DATA frame of HTTP/2, and clients that count empty frames (h2 0.4.16 and later, 100 for the life of a
//! connection) close the connection with ENHANCE_YOUR_CALM.

use crate::api::{Body, BoxError};
use bytes::{Bytes, BytesMut};
use http_body::Frame;
use http_body_util::BodyExt as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Bytes of a piece; the last one may be smaller.
const PIECE_BYTES: usize = 128 * 1024;

/// `body` in pieces of 128 KiB, none of them empty.
pub(super) fn in_chunks(body: Body) -> Body {
    Chunks { body, held: BytesMut::new(), after: None, ended: false }.boxed_unsync()
}

struct Chunks {
    body: Body,
    held: BytesMut,
    /// Trailers, which come after what is held.
    after: Option<Frame<Bytes>>,
    ended: bool,
}

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        while !self.ended && self.after.is_none() && self.held.len() < PIECE_BYTES {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => self.ended = true,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.held.extend_from_slice(&data),
                    Err(trailers) => self.after = Some(trailers),
                },
            }
        }
        if self.held.is_empty() {
            return Poll::Ready(self.after.take().map(Ok));
        }
        let length = self.held.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.held.split_to(length).freeze()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::full;
    use futures_util::{StreamExt as _, stream};
    use http_body_util::StreamBody;

    #[tokio::test]
    async fn small_and_empty_pieces_become_large_ones_and_no_byte_changes() {
        let pieces: Vec<Bytes> = (0..400_u32)
            .map(|n| Bytes::from(vec![u8::try_from(n % 251).unwrap(); if n % 3 == 0 { 0 } else { 4096 }]))
            .collect();
        let frames = stream::iter(pieces.clone()).map(|piece| Ok::<_, BoxError>(Frame::data(piece)));
        let mut chunks = in_chunks(StreamBody::new(frames).boxed_unsync());
        let (mut lengths, mut all) = (Vec::new(), Vec::new());
        while let Some(frame) = chunks.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            lengths.push(data.len());
            all.extend_from_slice(&data);
        }
        assert!(all == pieces.concat());
        let (last, whole) = lengths.split_last().unwrap();
        assert!(whole.iter().all(|length| *length == PIECE_BYTES) && *last > 0, "{lengths:?}");
    }

    #[tokio::test]
    async fn an_empty_body_has_no_frame() {
        assert!(in_chunks(full(Bytes::new())).frame().await.is_none());
    }
}
