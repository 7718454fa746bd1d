//! Laws of durations.

use super::{above, positive, probability};
use crate::scenario::diagnostic::{Place, Problems};
use crate::scenario::file::LawForm;
use crate::scenario::reader::Written;
use crate::traffic::Law;
use crate::units::{Ratio, Span};

/// The law that was written; a constant of zero in place of a wrong one.
pub(in crate::scenario) fn law(form: &Written<LawForm>, problems: &mut Problems) -> Law {
    checked(&form.value, &form.place, problems).unwrap_or(Law::Constant(Span::ZERO))
}

/// `None` where a key is missing, which the reader has reported.
fn checked(form: &LawForm, place: &Place, problems: &mut Problems) -> Option<Law> {
    Some(match form {
        LawForm::Constant(form) => Law::Constant(form.value.as_ref()?.value),
        LawForm::Uniform(form) => {
            let (low, high) = (form.low.as_ref()?.value, form.high.as_ref()?);
            if low > high.value {
                problems.report(&high.place, format!("the upper bound is below the lower, {low}"));
            }
            Law::Uniform { low, high: high.value.max(low) }
        }
        LawForm::Exponential(form) => {
            Law::Exponential { mean: positive(form.mean.as_ref()?, problems) }
        }
        LawForm::LogNormal(form) => Law::LogNormal {
            mean: positive(form.mean.as_ref()?, problems),
            sigma: above(form.sigma.as_ref()?, 0.0, problems),
        },
        LawForm::Pareto(form) => Law::Pareto {
            mean: positive(form.mean.as_ref()?, problems),
            alpha: above(form.alpha.as_ref()?, 1.0, problems),
        },
        LawForm::Bimodal(form) => {
            let (fast, slow) = (form.fast.as_ref()?, form.slow.as_ref()?);
            bimodal(fast, slow, form.slow_share.as_ref()?, problems)
        }
        LawForm::Empirical(form) => empirical(&form.values.as_ref()?.value, place, problems),
    })
}

fn bimodal(
    fast: &Written<Span>,
    slow: &Written<Span>,
    share: &Written<Ratio>,
    problems: &mut Problems,
) -> Law {
    if slow.value < fast.value {
        let message = format!("the slow duration is below the fast one, {}", fast.value);
        problems.report(&slow.place, message);
    }
    let slow_share = probability(share, problems).0;
    Law::Bimodal { fast: fast.value, slow: slow.value.max(fast.value), slow_share }
}

fn empirical(values: &[Written<Span>], place: &Place, problems: &mut Problems) -> Law {
    let mut sorted: Vec<Span> = values.iter().map(|value| value.value).collect();
    sorted.sort_unstable();
    if sorted.is_empty() && !problems.mentions(&format!("{}.values", place.key)) {
        problems.report(place, "an empirical law needs at least one value");
    }
    if sorted.is_empty() {
        sorted.push(Span::ZERO);
    }
    Law::Empirical { sorted: sorted.into() }
}
