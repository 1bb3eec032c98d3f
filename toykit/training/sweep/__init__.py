"""Sweeps: a table of runs, or a tuning study, shared by any number of workers through Optuna's storage.

    toykit sweep table3 data.root=VOC2012 -o runs/table3 --workers 4
    toykit sweep table3 data.root=VOC2012 -o runs/table3 --storage postgresql+psycopg://user@host/sweeps   # on each machine
    toykit sweep status runs/table3

A table is a YAML file. All parts but `variants` or `grid` may be left out:

    preset: toy                             # a preset or a configuration of `toykit train`
    overrides: {schedule.epochs: 6}         # of every row; those of the command line follow
    variants:                               # rows: a name with its overrides
      seeds_only: {method: seeds_only}      # a method; the name of a preset stands for its method, terms and solver
      soft: {}
      scribbles: {preset: voc_quick}        # another preset for this row
    grid: {supervision.ratio: [0, 1]}       # every row with every value: seeds_only_0, seeds_only_1, soft_0, ...
    seeds: 3                                # their number, or a list
    against: seeds_only                     # the row that the others are compared with, at the same values of the grid
    tune:                                   # choose settings for each row, then run the best with all seeds
      space: {energy.eta: {low: 0.1, high: 10, log: true}, energy.lam: [6, 60]}
      sampler: tpe                          # grid, random or tpe
      trials: 20                            # per row; the same for all
      holdout: 0.15                         # on this share of the training photos, never on validation photos
      prune: true                           # end trials early that are below the median of the earlier ones
    paper: {table: table3, columns: {relaxation: energy.relaxation}}   # column of data/reference -> key of the configuration

`experiment: label_noise` makes the rows classifiers under label noise instead (Fig. 3 (d)): their keys are those of
`toykit.experiments.label_noise.Settings`, and preset, tune and paper are refused.

A variant may have its own `space` ({}: not tuned) and `paper` (column: value; null: the paper has no number).

Each run has a folder of its own, and phase one is trained once for all runs that share it. Interrupted sweeps resume with the
same command; a dead worker's trial is taken up by another, from its checkpoint. Machines should share the folder, not only the
storage: without it each trains phase one for itself, and a trial that is taken up begins anew. The results are `table.csv`, a
row per run (with the columns of `toykit.experiments.results.STUDY`, or `label_noise.COLUMNS` here), and `table.md`.

With one worker, and with any number for grids and the sampler random without pruning, the result does not depend on
interruptions; what TPE and the pruner see depends on which trials have finished.
"""

from toykit.training.sweep.launch import run_sweep, status
from toykit.training.sweep.table import load_table, tables

__all__ = ["load_table", "run_sweep", "status", "tables"]
