//! HAProxy's `option httplog`, with or without syslog's words in front.

use super::row::Row;
use super::stamp::Stamp;
use crate::units::Span;

/// What `line` says (`log-format` of `option httplog` in HAProxy's manual, section 8.2.3):
///
/// ```text
/// 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "GET / HTTP/1.1"
/// ```
///
/// The date is that of the request's first byte. Of the five times, all in milliseconds, the fourth
/// (`Tr`, from the request sent to the response's headers) is the service, the last the whole (`Ta`).
pub(super) fn read(line: &str) -> Option<Row<'_>> {
    let open = line.find('[').filter(|_| line.contains("] "))?;
    // Syslog's tag is `haproxy[PID]:`, so the date is the first bracket with one in it.
    let (start, rest) = dated(&line[open..])?;
    let mut words = rest.split(' ');
    let times = words.find(|word| word.bytes().filter(|byte| *byte == b'/').count() == 4)?;
    let times: Vec<Option<Span>> = times.split('/').map(millis).collect::<Option<_>>()?;
    let status = words.next()?;
    if status.parse::<i32>().is_err() {
        return None;
    }
    let request = line.find('"').map_or("", |quote| &line[quote + 1..]);
    let request = request.rfind('"').map_or(request, |quote| &request[..quote]);
    let mut parts = request.split(' ');
    let (method, path) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let (start, took, service) = (Some(start), times[4], times[3]);
    Some(Row { start, end: None, took, service, method, path })
}

/// The first date in brackets, and what stands behind it.
fn dated(mut text: &str) -> Option<(Stamp, &str)> {
    loop {
        let inner = text.get(text.find('[')? + 1..)?;
        let (date, rest) = inner.split_once(']')?;
        if let Some(stamp) = Stamp::clf(date) {
            return Some((stamp, rest));
        }
        text = inner;
    }
}

/// `-1` is a phase that was not reached; a `+` stands before the whole where it is logged early.
fn millis(word: &str) -> Option<Option<Span>> {
    if word == "-1" {
        return Some(None);
    }
    let number = word.strip_prefix('+').unwrap_or(word);
    let whole = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if !whole {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(1_000_000).map(|nanos| Some(Span(nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manuals_line_behind_syslog() {
        let line = "Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 \
                    [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- \
                    1/1/1/1/0 0/0 {1wt.eu} {} \"GET /index.html HTTP/1.1\"";
        let row = read(line).unwrap();
        assert_eq!((row.method, row.path), ("GET", "/index.html"));
        assert_eq!(row.service, Some(Span::from_millis(69)));
        assert_eq!(row.took, Some(Span::from_millis(109)));
        assert!(row.start.unwrap().fine);
    }

    #[test]
    fn phases_that_were_not_reached_are_not_known() {
        let line = "1.2.3.4:5 [06/Feb/2009:12:14:14.655] in b/<NOSRV> 0/0/-1/-1/+3 503 0 - - SC-- \
                    0/0/0/0/0 0/0 \"GET / HTTP/1.1\"";
        let row = read(line).unwrap();
        assert_eq!((row.service, row.took), (None, Some(Span::from_millis(3))));
    }

    #[test]
    fn messages_are_no_requests() {
        for line in [
            "haproxy[1]: Server b/s is DOWN, reason: Layer4 timeout",
            "1.2.3.4:5 [06/Feb/2009:12:14:14.655] in b/s 0/0/0 0 -- 0/0/0/0/0 0/0",
            "[",
            "] [",
            "[06/Feb/2009:12:14:14.655]",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
