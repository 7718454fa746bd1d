//! The open loop: every request goes out when it is due, whatever the responses do.

use std::io;
use std::sync::Arc;

use super::generator::Generator;
use super::pacer::Pacer;
use crate::traffic::Plan;

/// Sends the arrivals of `plan`; returns behind the last one, or when the rows cannot be kept.
pub(super) async fn drive(
    generator: &Arc<Generator>,
    plan: &Plan,
    pacer: &mut Pacer,
) -> io::Result<()> {
    let (share, most) = (generator.share(), generator.most_requests());
    let planned = plan.arrivals().take_while(|request| request.id < most);
    for request in planned.filter(|request| share.has(request.id)) {
        let due = generator.instant(request.at);
        pacer.until(due).await?;
        generator.launch(&request, due);
        if generator.has_failed() {
            break;
        }
    }
    Ok(())
}
