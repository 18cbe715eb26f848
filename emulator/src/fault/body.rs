//! Faults in the middle of a response body.

use super::effect::{CutEffect, Delay, Effect, Exception, How, Point, Scope, Stall};
use super::engine::{Faults, Shot};
use crate::api::{Body, BoxError};
use crate::clock::Clock;
use crate::kinesis::{self, Format};
use crate::server::{Fate, Line};
use bytes::{Bytes, BytesMut};
use http::{Response, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Real time between the last bytes of a stream and its reset. An HTTP/2 stream that is reset drops what it has not
/// written yet, and nothing tells when it has.
const FLUSH_PAUSE: Duration = Duration::from_millis(20);

/// A response that ended too early, on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut by a fault")
    }
}

impl std::error::Error for Cut {}

/// What faults need to know about the response that they are in.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    pub(super) faults: Faults,
    pub(super) clock: Clock,
    pub(super) line: Line,
    /// How exceptions are to be written.
    pub(super) format: Format,
}

/// Puts the faults that happen inside of a response into it.
pub(super) fn wrap(response: Response<Body>, shots: Vec<Shot>, around: Surroundings) -> Response<Body> {
    let content_type = response.headers().get(header::CONTENT_TYPE).cloned();
    let events = content_type.is_some_and(|kind| kind == kinesis::EVENT_STREAM);
    response.map(|inner| {
        let body =
            FaultyBody { inner, around, shots, events, frames: 0, bytes: 0, steps: VecDeque::new(), over: false };
        body.boxed_unsync()
    })
}

struct FaultyBody {
    inner: Body,
    around: Surroundings,
    /// Those that have not taken effect.
    shots: Vec<Shot>,
    /// Whether each frame is one message of an event stream.
    events: bool,
    frames: u64,
    bytes: u64,
    steps: VecDeque<Step>,
    over: bool,
}

/// What comes next in the body.
enum Step {
    Send(Bytes),
    Wait(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// Nothing ever again.
    Silence,
    Decide(Fate),
    Fail,
    End,
}

impl FaultyBody {
    /// The steps that stand for the next frame of the body.
    fn plan(&mut self, frame: Bytes) {
        // Of an event stream the first message is the initial response, which is no event.
        let event = self.events.then(|| self.frames.checked_sub(1)).flatten();
        let (from, until) = (self.bytes, self.bytes + frame.len() as u64);
        self.frames += 1;
        self.bytes = until;
        let reached = |point: Point| match point {
            Point { after_events: Some(after), .. } => (event == Some(after)).then_some(None),
            Point { after_bytes: Some(after), .. } => {
                (from..until).contains(&after).then(|| usize::try_from(after - from).ok())
            }
            Point { .. } => None,
        };
        self.steps.push_back(Step::Send(frame));
        let mut waiting = Vec::new();
        for shot in std::mem::take(&mut self.shots) {
            match shot.effect().map(|effect| (effect, effect.point().and_then(reached))) {
                Some((effect, Some(offset))) => {
                    if self.strike(effect, offset, until - from) {
                        self.around.faults.took_effect(&shot);
                    }
                }
                _ => waiting.push(shot),
            }
        }
        self.shots = waiting;
    }

    /// Does `effect` to the frame that is sent next; `offset` bytes into the whole of it, or to all of it. Returns whether
    /// there is anything left to do it to.
    fn strike(&mut self, effect: &Effect, offset: Option<usize>, whole: u64) -> bool {
        // A fault before it has ended the stream within this frame. To take that back would lose the frame, and go on.
        let Some(Step::Send(frame)) = self.steps.pop_back_if(|step| matches!(step, Step::Send(_))) else {
            return false;
        };
        // A fault before it may have sent the beginning of the frame.
        let sent = usize::try_from(whole).map_or(0, |whole| whole.saturating_sub(frame.len()));
        let offset = offset.map(|offset| offset.saturating_sub(sent));
        match effect {
            Effect::Delay(Delay { r#for, .. }) => {
                let (clock, span) = (self.around.clock.clone(), r#for.0);
                self.send_part(&frame, offset);
                self.steps.push_back(Step::Wait(Box::pin(async move { clock.sleep(span).await })));
                self.steps.push_back(Step::Send(frame.slice(offset.unwrap_or(0)..)));
            }
            Effect::Stall(Stall { scope, .. }) => {
                self.send_part(&frame, offset);
                if *scope == Scope::Connection {
                    self.pause();
                    self.steps.push_back(Step::Decide(Fate::Silent));
                }
                self.steps.push_back(Step::Silence);
            }
            Effect::Cut(CutEffect { how, in_frame, .. }) => {
                let offset = offset.or_else(|| in_frame.then(|| frame.len() / 2));
                self.send_part(&frame, offset);
                self.pause();
                self.cut(*how, &frame, offset);
            }
            Effect::Garble(_) => self.steps.push_back(Step::Send(flip(frame, offset))),
            Effect::Duplicate(_) => {
                self.steps.push_back(Step::Send(frame.clone()));
                self.steps.push_back(Step::Send(frame));
            }
            Effect::Exception(Exception { code, message, .. }) => {
                match kinesis::exception(self.around.format, code, message) {
                    Ok(message) => self.steps.push_back(Step::Send(message)),
                    Err(error) => {
                        tracing::error!(%error, code, "cannot write the exception; the stream ends without it")
                    }
                }
                self.steps.push_back(Step::End);
            }
            _ => self.steps.push_back(Step::Send(frame)),
        }
        true
    }

    fn cut(&mut self, how: How, frame: &Bytes, offset: Option<usize>) {
        match how {
            How::RstStream => self.steps.push_back(Step::Fail),
            How::TcpReset => self.steps.extend([Step::Decide(Fate::Reset), Step::Silence]),
            How::Fin => self.steps.extend([Step::Decide(Fate::Closed), Step::Silence]),
            // Streams that run go on until the connection ends.
            How::Goaway => {
                let rest = frame.slice(offset.unwrap_or(0)..);
                self.steps.extend([Step::Decide(Fate::GoesAway), Step::Send(rest)]);
            }
        }
    }

    fn send_part(&mut self, frame: &Bytes, length: Option<usize>) {
        if let Some(length) = length.filter(|length| *length > 0) {
            self.steps.push_back(Step::Send(frame.slice(..length)));
        }
    }

    fn pause(&mut self) {
        self.steps.push_back(Step::Wait(Box::pin(tokio::time::sleep(FLUSH_PAUSE))));
    }
}

/// `frame` with one bit flipped, `offset` bytes into it or in its middle.
fn flip(frame: Bytes, offset: Option<usize>) -> Bytes {
    let mut bytes = BytesMut::from(frame);
    let at = offset.unwrap_or(bytes.len() / 2);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1;
    }
    bytes.freeze()
}

impl HttpBody for FaultyBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        loop {
            if self.over {
                return Poll::Ready(None);
            }
            match self.steps.front_mut() {
                Some(Step::Wait(wait)) => ready!(wait.as_mut().poll(cx)),
                // Dropped with the connection: when the client leaves, or the emulator stops.
                Some(Step::Silence) => return Poll::Pending,
                _ => {}
            }
            match self.steps.pop_front() {
                Some(Step::Send(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Step::Decide(fate)) => self.around.line.decide(fate),
                Some(Step::Fail) => {
                    self.over = true;
                    return Poll::Ready(Some(Err(Cut.into())));
                }
                Some(Step::End) => self.over = true,
                Some(Step::Wait(_) | Step::Silence) => {}
                None => match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => self.plan(data),
                        Err(frame) => return Poll::Ready(Some(Ok(frame))),
                    },
                    other => return Poll::Ready(other),
                },
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        if self.events { SizeHint::default() } else { self.inner.size_hint() }
    }
}

#[cfg(test)]
mod tests;
