//! The terminal that a person looks at.

use std::io;
use std::os::fd::AsRawFd;

/// Columns of the terminal that stderr is; `None` where it is none, or does not say.
#[must_use]
pub fn columns_of_stderr() -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one `winsize` to the pointer, which is to a live local.
    let result = unsafe { libc::ioctl(io::stderr().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (result == 0 && size.ws_col > 0).then(|| usize::from(size.ws_col))
}
