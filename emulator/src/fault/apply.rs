//! What faults do to a whole request: before it is applied, while it is, and to its answer.

pub(crate) use super::body::Cut;
use super::body::{Surroundings, wrap};
use super::effect::{At, Delay, Effect, ErrorEffect, How, Loss, Partial, Scope};
use super::engine::{Faults, Shot};
use super::partial::{self, Shape, Split};
use super::subject::{Service, Subject};
use crate::api::{Body, full};
use crate::clock::Clock;
use crate::kinesis::Format;
use crate::server::{Fate, Line};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt as _;

/// The faults that fire on one request. Most requests meet none.
pub(crate) struct Fired {
    shots: Vec<Shot>,
    service: Service,
    around: Surroundings,
    format: Format,
}

impl Fired {
    /// Asks `faults` about `subject`, which came over `line` and is written in `format`, as its answer is to be.
    pub(crate) fn on(faults: &Faults, clock: &Clock, line: &Line, subject: Subject, format: Format) -> Self {
        let service = subject.service;
        let around = Surroundings { faults: faults.clone(), clock: clock.clone(), line: line.clone(), format };
        Self { shots: faults.fire(subject), service, around, format }
    }

    /// What happens before the request is applied. `Some` is an answer in place of it.
    ///
    /// # Errors
    /// [`Cut`] if there is no answer, and its stream is to be reset.
    pub(crate) async fn before(&mut self) -> Result<Option<Response<Body>>, Cut> {
        for shot in std::mem::take(&mut self.shots) {
            match shot.effect() {
                // Inside of the answer, or behind it.
                Some(effect) if effect.point().is_some() => self.shots.push(shot),
                Some(Effect::Clock(clock)) => {
                    self.took_effect(&shot);
                    if let Err(error) = clock.apply(&self.around.clock) {
                        tracing::error!(%error, "a fault cannot change the clock");
                    }
                }
                Some(Effect::Delay(Delay { r#for, at: At::Request, .. })) => {
                    self.took_effect(&shot);
                    self.around.clock.sleep(r#for.0).await;
                }
                Some(Effect::Stall(stall)) => {
                    self.took_effect(&shot);
                    if stall.scope == Scope::Connection {
                        self.around.line.decide(Fate::Silent);
                    }
                    std::future::pending::<()>().await;
                }
                Some(Effect::Cut(cut)) => {
                    self.took_effect(&shot);
                    self.cut(cut.how).await?;
                }
                Some(Effect::Error(error)) if !error.applied => {
                    self.took_effect(&shot);
                    return Ok(Some(error_response(self.service, self.format, error)));
                }
                _ => self.shots.push(shot),
            }
        }
        Ok(None)
    }

    /// Applies a JSON request by `serve`: in part if a fault says so, and once more for each duplicate.
    pub(crate) async fn apply<F>(&mut self, operation: &str, body: Bytes, serve: impl Fn(Bytes) -> F) -> Response<Body>
    where
        F: Future<Output = Response<Body>>,
    {
        let mut batch = None;
        for shot in std::mem::take(&mut self.shots) {
            match shot.effect() {
                Some(Effect::Duplicate(point)) if !point.is_inside() => {
                    self.took_effect(&shot);
                    // Read to its end: what is not read may not be applied.
                    drop(serve(body.clone()).await.into_body().collect().await);
                }
                Some(Effect::Partial(partial)) if batch.is_none() => {
                    let draw = || self.around.faults.fraction();
                    let json = self.format.read(&body).unwrap_or_default();
                    let split = Shape::of(operation).and_then(|shape| partial::split(&json, shape, partial, draw));
                    if let Some(split) = split {
                        self.took_effect(&shot);
                        batch = Some((split, partial.clone()));
                    }
                }
                _ => self.shots.push(shot),
            }
        }
        match batch {
            Some((split, partial)) => self.apply_rest(&split, &partial, serve).await,
            None => serve(body).await,
        }
    }

    /// Applies what is left of a batch, and answers for all of it.
    async fn apply_rest<F>(&self, split: &Split, partial: &Partial, serve: impl Fn(Bytes) -> F) -> Response<Body>
    where
        F: Future<Output = Response<Body>>,
    {
        let answer = match &split.rest {
            None => None,
            Some(rest) => {
                let rest = self.format.write(rest.clone()).unwrap_or_default();
                let (head, body) = serve(rest.into()).await.into_parts();
                let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                if head.status != StatusCode::OK {
                    return Response::from_parts(head, full(body));
                }
                Some(self.format.read(&body).unwrap_or_default().into_owned())
            }
        };
        let joined = split.join(answer.as_deref(), partial).or(answer).unwrap_or_default();
        self.format.respond(joined).unwrap_or_else(|error| self.format.refuse(error))
    }

    /// What happens to the answer.
    ///
    /// # Errors
    /// [`Cut`] if it is lost, and its stream is to be reset.
    pub(crate) async fn after(mut self, mut answer: Response<Body>) -> Result<Response<Body>, Cut> {
        let mut inside = Vec::new();
        for shot in std::mem::take(&mut self.shots) {
            match shot.effect() {
                Some(Effect::Error(error)) => {
                    self.took_effect(&shot);
                    answer = error_response(self.service, self.format, error);
                }
                Some(Effect::Replace(replace)) => {
                    self.took_effect(&shot);
                    let (mut head, _) = answer.into_parts();
                    head.status = StatusCode::from_u16(replace.status).unwrap_or(head.status);
                    head.headers.remove(header::CONTENT_LENGTH);
                    if let Some(kind) =
                        replace.content_type.as_deref().and_then(|kind| HeaderValue::from_str(kind).ok())
                    {
                        head.headers.insert(header::CONTENT_TYPE, kind);
                    }
                    answer = Response::from_parts(head, full(replace.body.clone()));
                }
                Some(Effect::Delay(Delay { r#for, after_events: None, after_bytes: None, .. })) => {
                    self.took_effect(&shot);
                    self.around.clock.sleep(r#for.0).await;
                }
                Some(Effect::LoseResponse(lost)) => {
                    self.took_effect(&shot);
                    match lost.how {
                        Loss::RstStream => return Err(Cut),
                        Loss::TcpReset => self.around.line.decide(Fate::Reset),
                        Loss::Hang => {}
                    }
                    std::future::pending::<()>().await;
                }
                _ => inside.push(shot),
            }
        }
        Ok(if inside.is_empty() { answer } else { wrap(answer, inside, self.around) })
    }

    /// Ends the stream or the connection before there is any answer. After a GOAWAY the request goes on.
    async fn cut(&self, how: How) -> Result<(), Cut> {
        let fate = match how {
            How::RstStream => return Err(Cut),
            How::Goaway => {
                self.around.line.decide(Fate::GoesAway);
                return Ok(());
            }
            How::TcpReset => Fate::Reset,
            How::Fin => Fate::Closed,
        };
        self.around.line.decide(fate);
        std::future::pending().await
    }

    fn took_effect(&self, shot: &Shot) {
        self.around.faults.took_effect(shot);
    }
}

/// An error in the shape of its service.
fn error_response(service: Service, format: Format, error: &ErrorEffect) -> Response<Body> {
    let json = |kind: &str| serde_json::json!({ "__type": kind, "message": error.message }).to_string();
    let (kind, body) = match service {
        Service::S3 => ("application/xml", s3_error(error).into_bytes()),
        Service::DynamoDb => {
            let kind = format!("com.amazonaws.dynamodb.v20120810#{}", error.code);
            ("application/x-amz-json-1.0", json(&kind).into_bytes())
        }
        Service::Kinesis | Service::Firehose => {
            (format.content_type(), format.write(json(&error.code).into_bytes()).unwrap_or_default())
        }
    };
    let mut response = Response::new(full(body));
    let status = error.status.and_then(|status| StatusCode::from_u16(status).ok());
    *response.status_mut() = status.unwrap_or_else(|| usual_status(&error.code));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let code = HeaderValue::from_str(&error.code).ok().filter(|_| service != Service::S3);
    if let Some(code) = code {
        response.headers_mut().insert("x-amzn-errortype", code);
    }
    response
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.
fn s3_error(error: &ErrorEffect) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message></Error>",
        escape(&error.code),
        escape(&error.message)
    )
}

/// The status that AWS sends an error with, by its code.
fn usual_status(code: &str) -> StatusCode {
    match code {
        "SlowDown" | "ServiceUnavailable" | "ServiceUnavailableException" => StatusCode::SERVICE_UNAVAILABLE,
        "InternalError" | "InternalFailure" | "InternalFailureException" | "InternalServerError" => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        "AccessDenied" => StatusCode::FORBIDDEN,
        "NoSuchKey" | "NoSuchBucket" | "NoSuchUpload" => StatusCode::NOT_FOUND,
        "PreconditionFailed" => StatusCode::PRECONDITION_FAILED,
        "ConditionalRequestConflict" | "OperationAborted" => StatusCode::CONFLICT,
        _ => StatusCode::BAD_REQUEST,
    }
}
