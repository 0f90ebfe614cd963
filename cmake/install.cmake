# SPDX-License-Identifier: Apache-2.0
# `cmake --install build --prefix X`: X/bin/constrictor, and X/share/constrictor with what it looks for (analysis/) and
# what its users want (decks, Slurm scripts). The program finds the latter by its own place, wherever X is moved.
include(GNUInstallDirs)
set(CONSTRICTOR_SHARE ${CMAKE_INSTALL_DATAROOTDIR}/constrictor)
install(TARGETS constrictor RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY analysis DESTINATION ${CONSTRICTOR_SHARE}
        FILES_MATCHING PATTERN "*.py" PATTERN "pyproject.toml"
        PATTERN "__pycache__" EXCLUDE PATTERN "build" EXCLUDE PATTERN "*.egg-info" EXCLUDE)
install(DIRECTORY experiments DESTINATION ${CONSTRICTOR_SHARE}
        PATTERN "__pycache__" EXCLUDE PATTERN "*.tokens.h5" EXCLUDE PATTERN "tokens" EXCLUDE PATTERN "runs" EXCLUDE)
install(DIRECTORY slurm DESTINATION ${CONSTRICTOR_SHARE} USE_SOURCE_PERMISSIONS)
install(DIRECTORY cmake/packaging DESTINATION ${CONSTRICTOR_SHARE})
install(FILES LICENSE README.md CHANGELOG.md requirements.txt DESTINATION ${CONSTRICTOR_SHARE})
