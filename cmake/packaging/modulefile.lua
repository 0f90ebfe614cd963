-- SPDX-License-Identifier: Apache-2.0
-- Lmod module, an example: save as <modulefiles>/constrictor/0.1.0.lua and change the next two lines.
local prefix = "/opt/constrictor"        -- of `cmake --install build --prefix ...`
depends_on("openmpi")                    -- what it was built with; also hdf5, cuda/13.0, nccl where they are modules

help("Constrictor: post-training quantization of language models. constrictor --help; decks in $CONSTRICTOR_ROOT/experiments")
whatis("Post-training quantization of language models on MPI ranks and GPUs")
prepend_path("PATH", pathJoin(prefix, "bin"))
prepend_path("PYTHONPATH", pathJoin(prefix, "share/constrictor"))   -- python -m analysis
setenv("CONSTRICTOR_ROOT", pathJoin(prefix, "share/constrictor"))   -- slurm/*.sbatch look there
setenv("CONSTRICTOR_BIN", pathJoin(prefix, "bin/constrictor"))
