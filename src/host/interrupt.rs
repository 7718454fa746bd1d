//! Ctrl-C as a flag that long work looks at, so that it can stop cleanly and keep what it has.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

/// Sets the flag at the first SIGINT or SIGTERM; the second ends the process at once with 130.
///
/// # Errors
/// When the handlers or their thread cannot be installed.
pub fn flag() -> io::Result<Arc<AtomicBool>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if set.swap(true, Ordering::Relaxed) {
                    #[expect(clippy::disallowed_methods, reason = "the user insists")]
                    std::process::exit(130);
                }
            }
        });
    })?;
    Ok(flag)
}
