//! A sweep: axes with values, and none of them twice.

use super::or;
use crate::scenario::diagnostic::{Problems, suggestion};
use crate::scenario::file::{AxisSection, ScenarioFile};
use crate::scenario::reader::Written;
use crate::scenario::sweep::{
    AxisRange, AxisValues, DEFAULT_STEPS, LOAD, Scale, SweepAxis, SweepFacts,
};

/// The sweep, if the file has one.
pub(super) fn lower(file: &ScenarioFile, seed: u64, problems: &mut Problems) -> Option<SweepFacts> {
    let section = &file.sweep.as_ref()?.value;
    let written = section.axis.as_ref().map_or(&[][..], |list| &list.value);
    let mut axes: Vec<SweepAxis> = Vec::new();
    for one in written {
        let Some(lowered) = axis(one, problems) else { continue };
        if axes.iter().any(|other| other.key == lowered.key) {
            problems.report(&one.place, format!("there is another axis of `{}`", lowered.key));
        }
        axes.push(lowered);
    }
    if let Some(list) = section.axis.as_ref().filter(|list| list.value.is_empty()) {
        problems.report(&list.place, "a sweep needs at least one axis");
    }
    let ranges = axes.iter().filter(|axis| matches!(axis.values, AxisValues::Range(_))).count();
    if let (Some(samples), 0, true) = (&section.samples, ranges, problems.is_empty()) {
        let help = "give an axis `low` and `high` in place of `values`";
        problems.report_with(&samples.place, "there is no range to sample", help);
    }
    if let Some(compare) = &section.compare
        && !axes.iter().any(|axis| axis.key == compare.value)
    {
        let keys = axes.iter().map(|axis| axis.key.as_str());
        let help = suggestion(&compare.value, keys, "axes here");
        problems.report_with(&compare.place, format!("there is no axis `{}`", compare.value), help);
    }
    Some(SweepFacts {
        axes,
        samples: section.samples.as_ref().map(|count| count.value.0),
        seed: or(section.seed.as_ref(), seed),
        measure: or(section.measure.as_ref(), Default::default()),
        compare: section.compare.as_ref().map(|key| key.value.clone()),
    })
}

fn axis(written: &Written<AxisSection>, problems: &mut Problems) -> Option<SweepAxis> {
    let section = &written.value;
    let key = section.key.as_ref()?;
    if key.value != LOAD && !key.value.contains('.') {
        let help = "such as `balancer.algorithm`, `traffic.rate`, or `load`";
        problems.report_with(&key.place, "not the key of a value", help);
    }
    let bounds = [&section.low, &section.high];
    let values = match (&section.values, bounds) {
        (Some(values), [None, None]) => {
            if values.value.is_empty() {
                problems.report(&values.place, "the list is empty");
            }
            let mut list: Vec<_> = Vec::new();
            for one in &values.value {
                if list.contains(&one.value.value) {
                    problems.report(&one.place, "this value is in the list already");
                }
                list.push(one.value.value.clone());
            }
            AxisValues::List(list)
        }
        (None, [Some(_), Some(_)]) => AxisValues::Range(range(section, problems)?),
        _ => {
            let help = "either `values`, or both `low` and `high`";
            problems.report_with(&written.place, "an axis needs values", help);
            return None;
        }
    };
    Some(SweepAxis { key: key.value.clone(), values })
}

fn range(section: &AxisSection, problems: &mut Problems) -> Option<AxisRange> {
    let (low, high) = (section.low.as_ref()?, section.high.as_ref()?);
    let scale = or(section.scale.as_ref(), Scale::default());
    let steps = section.steps.as_ref().map_or(DEFAULT_STEPS, |count| count.value.0);
    let whole = low.value.whole && high.value.whole;
    match AxisRange::between(&low.value.value.label, &high.value.value.label, whole, scale, steps) {
        Ok(range) => Some(range),
        Err(why) => {
            problems.report(&high.place, why);
            None
        }
    }
}
