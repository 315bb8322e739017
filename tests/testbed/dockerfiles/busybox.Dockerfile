# A shell and its tools; without arguments it waits for a signal, which makes it a pause image too.
FROM scratch
COPY busybox /bin/busybox
COPY wait.sh /wait.sh
RUN ["/bin/busybox", "--install", "-s", "/bin"]
CMD ["/bin/sh", "/wait.sh"]
