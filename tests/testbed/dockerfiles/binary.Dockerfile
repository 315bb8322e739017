# One static binary and nothing else.
FROM scratch
ARG NAME
COPY ${NAME} /${NAME}
USER 65532:65532
