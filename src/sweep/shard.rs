//! Shares of a sweep for several processes or hosts: `k/n`, or what a batch system says of a task.

use std::str::FromStr;

use super::Point;

/// Part `number` of `of` equal parts of a sweep: every `of`-th point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    number: u32,
    of: u32,
}

/// What is wrong with a share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// Not as it is written.
    #[error("a shard is written K/N with K from 1 to N, such as 2/4")]
    Form,
    /// An index without the number of all.
    #[error(
        "JOB_COMPLETION_INDEX={0} says that this is a task of an Indexed Job, but not of how many: \
         give the job's `completions` with --shards N or LAB_SHARDS=N (or --shard 1/1 for all of it)"
    )]
    Completions(String),
    /// An array with holes, or variables that contradict one another.
    #[error(
        "SLURM_ARRAY_TASK_ID={0} is no place in an array of equal steps: use a range such as \
         --array=1-4 (or say --shard K/N)"
    )]
    Array(String),
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let (number, of) = text.split_once('/').ok_or(ShardError::Form)?;
        let whole = |text: &str| text.trim().parse::<u32>().map_err(|_| ShardError::Form);
        Self::new(whole(number)?, whole(of)?).ok_or(ShardError::Form)
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// Part `number`, from 1, of `of`; `None` if there is no such part.
    #[must_use]
    pub const fn new(number: u32, of: u32) -> Option<Self> {
        if number >= 1 && number <= of { Some(Self { number, of }) } else { None }
    }

    /// Whether the point is in it.
    #[must_use]
    pub const fn has(self, point: &Point) -> bool {
        point.index % self.of == self.number - 1
    }

    /// Whether it is all of it.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.of == 1
    }

    /// The share of a task of a Slurm array or of a Kubernetes Indexed Job, and the variables that
    /// say so. `shards` is the number of all where the batch system does not tell it.
    ///
    /// # Errors
    /// When the variables do not say which share of how many it is.
    pub fn from_environment(
        variable: impl Fn(&str) -> Option<String>,
        shards: Option<u32>,
    ) -> Result<Option<(Self, String)>, ShardError> {
        if let Some(id) = variable("SLURM_ARRAY_TASK_ID") {
            let wrong = || ShardError::Array(id.clone());
            let number = |name: &str| variable(name).and_then(|text| text.parse::<u32>().ok());
            let place = id.parse::<u32>().map_err(|_| wrong())?;
            let first = number("SLURM_ARRAY_TASK_MIN").unwrap_or(0);
            let step = number("SLURM_ARRAY_TASK_STEP").unwrap_or(1).max(1);
            let count = number("SLURM_ARRAY_TASK_COUNT").or(shards).ok_or_else(wrong)?;
            let offset = place.checked_sub(first).ok_or_else(wrong)?;
            // An array such as 1,2,4 has places that no step leads to: somebody's share would be
            // run twice, or not at all.
            let last = number("SLURM_ARRAY_TASK_MAX");
            let even = last.is_none_or(|last| last.saturating_sub(first) / step + 1 == count);
            if offset % step != 0 || !even {
                return Err(wrong());
            }
            let shard = Self::new(offset / step + 1, count).ok_or_else(wrong)?;
            return Ok(Some((shard, format!("SLURM_ARRAY_TASK_ID={id}"))));
        }
        if let Some(index) = variable("JOB_COMPLETION_INDEX") {
            let wrong = || ShardError::Completions(index.clone());
            let place = index.parse::<u32>().map_err(|_| wrong())?;
            let shard = Self::new(place.saturating_add(1), shards.ok_or_else(wrong)?);
            let shard = shard.ok_or_else(wrong)?;
            return Ok(Some((shard, format!("JOB_COMPLETION_INDEX={index}"))));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(index: u32) -> Point {
        Point { index, settings: Vec::new() }
    }

    #[test]
    fn every_point_is_in_one_share() {
        for of in 1..8 {
            for index in 0..40 {
                let shares = (1..=of).filter_map(|number| Shard::new(number, of));
                assert_eq!(shares.filter(|share| share.has(&point(index))).count(), 1);
            }
        }
        assert_eq!("2/4".parse(), Ok(Shard { number: 2, of: 4 }));
        for wrong in ["0/4", "5/4", "2", "a/b", "", "2/0", "-1/2"] {
            assert_eq!(wrong.parse::<Shard>(), Err(ShardError::Form), "{wrong}");
        }
    }

    fn told(variables: &[(&str, &str)], shards: Option<u32>) -> Result<Option<String>, ShardError> {
        let variable = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let shard = Shard::from_environment(variable, shards)?;
        Ok(shard.map(|(shard, why)| format!("{shard} by {why}")))
    }

    #[test]
    fn a_task_of_a_slurm_array_knows_its_share() {
        let array = |id, count, min, max, step| {
            told(
                &[
                    ("SLURM_ARRAY_TASK_ID", id),
                    ("SLURM_ARRAY_TASK_COUNT", count),
                    ("SLURM_ARRAY_TASK_MIN", min),
                    ("SLURM_ARRAY_TASK_MAX", max),
                    ("SLURM_ARRAY_TASK_STEP", step),
                ],
                None,
            )
        };
        assert_eq!(array("1", "4", "1", "4", "1"), Ok(Some("1/4 by SLURM_ARRAY_TASK_ID=1".into())));
        assert_eq!(array("0", "4", "0", "3", "1"), Ok(Some("1/4 by SLURM_ARRAY_TASK_ID=0".into())));
        assert_eq!(
            array("30", "4", "0", "30", "10"),
            Ok(Some("4/4 by SLURM_ARRAY_TASK_ID=30".into()))
        );
        assert!(array("4", "3", "1", "4", "1").is_err(), "1,2,4 has a hole");
        assert!(array("2", "3", "1", "4", "1").is_err(), "and so for each of its tasks");
        assert!(array("x", "3", "1", "3", "1").is_err());
    }

    #[test]
    fn a_task_of_an_indexed_job_needs_the_number_of_all() {
        let job = |index, shards| told(&[("JOB_COMPLETION_INDEX", index)], shards);
        assert_eq!(job("0", Some(3)), Ok(Some("1/3 by JOB_COMPLETION_INDEX=0".to_owned())));
        assert_eq!(job("2", Some(3)), Ok(Some("3/3 by JOB_COMPLETION_INDEX=2".to_owned())));
        assert!(matches!(job("2", None), Err(ShardError::Completions(_))));
        assert!(matches!(job("3", Some(3)), Err(ShardError::Completions(_))));
        assert_eq!(told(&[], Some(3)), Ok(None));
    }
}
