//! Answers that the proxy itself gives: a status, and a line that says why.

use bytes::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};

use super::relay::Reply;
use crate::policy::{Refusal, RefusalReason};

/// The answer to a request that was refused.
pub(super) fn response(refusal: Refusal) -> Response<Reply> {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_GATEWAY);
    plain(status, reason(refusal.reason))
}

/// A text of one line.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Reply> {
    let mut response = Response::new(Reply::Own(Some(Bytes::from_static(text.as_bytes()))));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

const fn reason(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::NoLiveUpstream => "no live upstream\n",
        RefusalReason::QueueFull => "the queue for an upstream is full\n",
        RefusalReason::QueueTimedOut => "no upstream became free in time\n",
        RefusalReason::AttemptFailed => "the upstream failed\n",
        RefusalReason::AttemptTimedOut => "the upstream did not answer in time\n",
    }
}
